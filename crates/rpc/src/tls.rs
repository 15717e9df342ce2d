use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, ensure};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// How a peer proves itself over TLS and whom it believes; all are PEM files.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// The only authorities believed: the public ones say nothing about who is a peer.
    pub ca: PathBuf,
    /// Our certificate chain and its key, for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl PeerTls {
    pub(crate) fn read(&self, http2: bool) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).with_context(|| format!("reading an authority from {}", self.ca.display()))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let private = PrivateKeyDer::from_pem_file(key)
                    .with_context(|| format!("reading the private key of {}", key.display()))?;
                config
                    .with_client_auth_cert(certificates(chain)?, private)
                    .with_context(|| format!("using the certificate of {}", chain.display()))?
            }
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Ok(Arc::new(config))
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>> { Ok(CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?) };
    let found = read().with_context(|| format!("reading certificates from {}", file.display()))?;
    ensure!(!found.is_empty(), "no certificate in {}", file.display());
    Ok(found)
}
