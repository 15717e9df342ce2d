//! Ports of loopback for servers that may be stopped and started again at the same address.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, DirBuilder, File},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::PathBuf,
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};

// Below the range that the kernel takes the ports of outgoing connections from, so that none of those sits on a port
// while its server is stopped.
const PORTS: Range<u16> = 20_000..32_000;

// A lock on a file of the port's name: it ends with this process, however that ends.
static CLAIMS: Mutex<BTreeMap<u16, File>> = Mutex::new(BTreeMap::new());

/// A port that nothing on this machine uses, and that no other process gets from here while this one lives.
pub fn free_port() -> Result<u16> {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).context("this machine gives no random bytes")?;
    let span = PORTS.end - PORTS.start;
    let first = u16::from_le_bytes(bytes) % span;
    for port in (0..span).map(|step| PORTS.start + (first + step) % span) {
        if !is_ours(port) && claim(port)? {
            return Ok(port);
        }
    }
    bail!("no port of loopback is free")
}

/// Takes this port, or keeps it where this process has it; false where another program has it.
pub(crate) fn claim(port: u16) -> Result<bool> {
    let mut claims = CLAIMS.lock().expect("no holder panics");
    if !is_free(port) {
        return Ok(false);
    }
    if let Entry::Vacant(unclaimed) = claims.entry(port) {
        let file = File::create(directory()?.join(port.to_string())).context("claiming a port")?;
        if file.try_lock().is_err() {
            return Ok(false);
        }
        unclaimed.insert(file);
    }
    Ok(true)
}

fn is_ours(port: u16) -> bool {
    CLAIMS.lock().expect("no holder panics").contains_key(&port)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn directory() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let path = std::env::temp_dir().join(format!("nsl-ports-{user}"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .with_context(|| format!("making {}", path.display()))?;
    // Where all may write, another user may have made it first.
    let owner = fs::symlink_metadata(&path)?;
    ensure!(owner.is_dir() && owner.uid() == user, "{} is not a directory of this user", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_outlasts_the_server_and_is_never_given_twice() {
        let port = free_port().unwrap();
        assert!(claim(port).unwrap());
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!claim(port).unwrap());
        drop(server);
        assert!(claim(port).unwrap());
        // Another process sees the lock.
        let other = File::open(directory().unwrap().join(port.to_string())).unwrap();
        assert!(other.try_lock().is_err());
        assert_ne!(free_port().unwrap(), port);
    }
}
