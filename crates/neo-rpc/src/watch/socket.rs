//! A websocket on which a node tells of events.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

use crate::{
    client::Client,
    endpoint::Endpoint,
    error::{Error, NodeError, Result},
};

/// For connecting and for the answer to a subscription.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of one event, at most. The largest transaction has 100 KiB, and as JSON some more.
const MOST_MESSAGE: usize = 1 << 20;

trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Link>>,
    endpoint: String,
}

/// An event as it comes.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    #[serde(rename = "method")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) params: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    error: Option<NodeError>,
}

impl Socket {
    /// Connects, and subscribes to events of this name that pass a filter.
    pub(crate) async fn open(
        endpoint: Endpoint,
        client: Client,
        event: &'static str,
        filter: Option<Value>,
    ) -> Result<Self> {
        let after = CONNECT;
        let late = Error::Timeout { endpoint: endpoint.to_string(), after };
        let opening = async {
            let mut socket = Self::connect(&endpoint, client.authorities()).await?;
            socket.subscribe(event, filter).await?;
            Ok(socket)
        };
        timeout(after, opening).await.map_err(|_| late)?
    }

    async fn subscribe(&mut self, event: &'static str, filter: Option<Value>) -> Result<()> {
        let mut params = vec![json!(event)];
        params.extend(filter);
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}).to_string();
        let sent = self.stream.send(Message::text(request)).await;
        sent.map_err(|error| self.lost(error.to_string()))?;
        loop {
            let text = self.text().await?;
            // Events of a subscription may come before the answer to it.
            match serde_json::from_str::<Reply>(&text) {
                Ok(Reply { error: Some(refusal), .. }) => return Err(Error::Node(refusal)),
                Ok(Reply { id: Some(id), .. }) if id == json!(1) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(Error::Malformed { method: "subscribe", why: error.to_string() }),
            }
        }
    }

    async fn connect(endpoint: &Endpoint, authorities: &[CertificateDer<'static>]) -> Result<Self> {
        let unreachable = |why: String| Error::Unreachable { endpoint: endpoint.to_string(), why };
        let host = endpoint.host().trim_matches(['[', ']']);
        let tcp = TcpStream::connect((host, endpoint.port())).await.map_err(|error| unreachable(error.to_string()))?;
        tcp.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let link: Box<dyn Link> = if endpoint.is_secure() {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| unreachable(error.to_string()))?;
            let tls = TlsConnector::from(tls_config(authorities)?).connect(name, tcp).await;
            Box::new(tls.map_err(|error| unreachable(error.to_string()))?)
        } else {
            Box::new(tcp)
        };
        let mut request = endpoint
            .url()
            .as_str()
            .into_client_request()
            .map_err(|_| Error::Settings("the URL of a node fits no websocket".into()))?;
        if let Some(credentials) = endpoint.authorization() {
            let mut value = HeaderValue::from_str(credentials)
                .map_err(|_| Error::Settings("the credentials of a node fit no header".into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let limits = WebSocketConfig::default().max_message_size(Some(MOST_MESSAGE)).max_frame_size(Some(MOST_MESSAGE));
        let (stream, _) = client_async_with_config(request, link, Some(limits))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { stream, endpoint: endpoint.to_string() })
    }

    /// The next event. Safe to be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Told> {
        let text = self.text().await?;
        serde_json::from_str(&text).map_err(|error| Error::Malformed { method: "subscribe", why: error.to_string() })
    }

    async fn text(&mut self) -> Result<String> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                // The library answers pings itself.
                Some(Ok(Message::Close(_))) | None => return Err(self.lost("the node closed it".into())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.lost(error.to_string())),
            }
        }
    }

    fn lost(&self, why: String) -> Error {
        Error::Lost { endpoint: self.endpoint.clone(), why }
    }
}

fn tls_config(authorities: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(authorities.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Settings(format!("TLS: {error}")))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
