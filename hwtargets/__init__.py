"""Chips and toolchains that snndeploy finds through entry points."""
