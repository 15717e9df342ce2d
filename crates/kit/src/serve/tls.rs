use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    files::Changes,
    settings::{ClientAuth, TlsSettings, TlsVersion},
};

use super::identity::not_after;

/// The TLS side of a listener. New connections take the newest certificate, old ones keep theirs.
#[derive(Clone)]
pub(super) struct Tls {
    listener: &'static str,
    settings: Arc<TlsSettings>,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    pub(super) fn load(listener: &'static str, settings: &TlsSettings) -> Result<Self> {
        let config = read(listener, settings)?;
        let current = Arc::new(ArcSwap::from_pointee(config));
        Ok(Self { listener, settings: Arc::new(settings.clone()), current })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again whenever they change. A pair that does not fit, as it stands for a moment
    /// between two writes, leaves the old one in use.
    pub(super) async fn follow(self, stop: CancellationToken) {
        let mut changes = Changes::of(self.files()).await;
        // Whatever changed between the first reading and the watch would otherwise go unseen.
        self.reload();
        while stop.run_until_cancelled(changes.next()).await.is_some() {
            if self.reload() {
                info!(listener = self.listener, "the certificate was read again");
            }
        }
    }

    fn reload(&self) -> bool {
        let read = read(self.listener, &self.settings);
        let outcome = if read.is_ok() { "done" } else { "failed" };
        metrics::counter!("tls_reloads_total", "listener" => self.listener, "outcome" => outcome).increment(1);
        match read {
            Ok(config) => {
                self.current.store(Arc::new(config));
                true
            }
            Err(cause) => {
                error!(listener = self.listener, "cannot read the new certificate, keeping the old one: {cause:#}");
                false
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let settings = &self.settings;
        [&settings.cert, &settings.key, &settings.client_ca].into_iter().flatten().cloned().collect()
    }
}

fn read(listener: &'static str, settings: &TlsSettings) -> Result<ServerConfig> {
    let cert = settings.cert.as_deref().context("tls.cert is not set")?;
    let key = settings.key.as_deref().context("tls.key is not set")?;
    let chain = certificates(cert)?;
    let ends = chain.first().and_then(|leaf| not_after(leaf));
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let versions: &[_] = match settings.min_version {
        TlsVersion::V13 => &[&TLS13],
        TlsVersion::V12 => &[&TLS13, &TLS12],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match &settings.client_ca {
        Some(authorities) => builder.with_client_cert_verifier(verifier(authorities, settings.client_auth)?),
        None => builder.with_no_client_auth(),
    };
    let pair = || format!("{} and {} do not fit together", cert.display(), key.display());
    let mut config = builder.with_single_cert(chain, key_der).with_context(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    if let Some(ends) = ends {
        metrics::gauge!("tls_certificate_not_after_seconds", "listener" => listener).set(ends.0 as f64 / 1e6);
    }
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("cannot read certificates from {}", file.display());
    let all = CertificateDer::pem_file_iter(file)
        .with_context(reading)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(reading)?;
    ensure!(!all.is_empty(), "there is no certificate in {}", file.display());
    Ok(all)
}

fn verifier(file: &Path, auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file)? {
        roots.add(authority).with_context(|| format!("not a certificate authority: {}", file.display()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    Ok(builder.build()?)
}
