"""Traffic on a platform that never waits for its answers, and the ledger of what the platform acknowledged."""
