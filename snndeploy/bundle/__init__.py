"""The bundle: a folder that holds all it takes to run and check a network, and no pickle."""

from snndeploy.bundle.read import Bundle as Bundle
from snndeploy.bundle.read import read_bundle as read_bundle
from snndeploy.bundle.write import write_bundle as write_bundle
