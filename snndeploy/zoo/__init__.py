"""Networks of source papers, as torch modules that `snndeploy.save` reads.

They are built of SpikingJelly's layers, which the extra `frameworks` installs.
"""
