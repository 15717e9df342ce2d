//! Real nodes of both chains on loopback: downloaded, started, funded, stopped.
