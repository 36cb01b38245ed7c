"""The lab: images, hosts, the prepared platform, and the cache that makes the second start quick."""
