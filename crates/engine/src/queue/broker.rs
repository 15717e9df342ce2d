use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use lapin::{
    BasicProperties, Channel, Confirmation, Connect, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    tcp::OwnedTLSConfig,
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use nsl_core::{Secret, TenantId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{QueueConfig, table::Taken};
use crate::backoff::Backoff;

/// The connection to RabbitMQ, and what is declared there: an exchange that routes by topic to one durable quorum
/// queue each, and a dead-letter queue for what is no message of ours.
pub(super) struct Broker {
    uri: AMQPUri,
    authorities: Option<String>,
    prefix: String,
    pub(super) timeout: Duration,
    live: ArcSwapOption<Live>,
    turns: watch::Sender<u64>,
}

pub(super) struct Live {
    connection: Connection,
    declared: Mutex<HashSet<String>>,
}

/// How often somebody looks whether a connection still stands.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(200);
const HEARTBEAT_SECONDS: u16 = 10;

/// The error never repeats the URL, which may hold a password.
pub(super) fn parse(url: &Secret) -> Result<AMQPUri, String> {
    let forms = "must be an amqp:// or amqps:// URL";
    let text = url.expose_str().ok_or(forms)?;
    if !text.starts_with("amqp://") && !text.starts_with("amqps://") {
        return Err(forms.into());
    }
    let mut uri: AMQPUri = text.parse().map_err(|_| "does not parse".to_owned())?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    Ok(uri)
}

impl Broker {
    pub(super) fn new(config: &QueueConfig) -> anyhow::Result<Self> {
        let authorities = match config.ca.as_str() {
            "" => None,
            path => Some(
                std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("reading queue.ca {path}: {error}"))?,
            ),
        };
        Ok(Self {
            uri: parse(&config.url).map_err(|why| anyhow::anyhow!("queue.url {why}"))?,
            authorities,
            prefix: config.prefix.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
            live: ArcSwapOption::empty(),
            turns: watch::Sender::new(0),
        })
    }

    /// Keeps the connection, for ever.
    pub(super) async fn keep(&self) {
        let up = metrics::gauge!("queue_broker_up");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut told = false;
        loop {
            match self.connect().await {
                Ok(live) => {
                    self.turn(Some(Arc::new(live)));
                    up.set(1.0);
                    tracing::info!("connected to rabbitmq");
                    backoff = backoff.reset();
                    while self.live.load().as_ref().is_some_and(|live| live.connection.status().connected()) {
                        tokio::time::sleep(WATCH_EVERY).await;
                    }
                    self.turn(None);
                    up.set(0.0);
                    tracing::warn!("lost rabbitmq, messages wait in SQL");
                }
                Err(error) if !told => tracing::warn!(%error, "rabbitmq cannot be reached, messages wait in SQL"),
                Err(_) => {}
            }
            told = true;
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn connect(&self) -> anyhow::Result<Live> {
        let properties = ConnectionProperties::default().with_connection_name("nsl".into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authorities.clone() };
        let connecting = async {
            let connection = self.uri.clone().connect_with_config(properties, tls, lapin::runtime::default_runtime()?);
            let live = Live { connection: connection.await?, declared: Mutex::default() };
            self.declare_base(&live.connection.create_channel().await?).await?;
            anyhow::Ok(live)
        };
        tokio::time::timeout(self.timeout * 2, connecting).await?
    }

    fn turn(&self, live: Option<Arc<Live>>) {
        self.live.store(live);
        self.turns.send_modify(|turn| *turn += 1);
    }

    pub(super) fn is_up(&self) -> bool {
        self.live.load().as_ref().is_some_and(|live| live.connection.status().connected())
    }

    /// Waits for a connection.
    pub(super) async fn live(&self) -> Arc<Live> {
        let mut turns = self.turns.subscribe();
        loop {
            if let Some(live) = self.live.load_full() {
                return live;
            }
            turns.changed().await.expect("the sender lives as long as this");
        }
    }

    /// Gives up a connection that no longer answers.
    pub(super) fn drop_live(&self, suspect: &Arc<Live>) {
        let previous = self.live.compare_and_swap(suspect, None);
        if previous.as_ref().is_some_and(|previous| Arc::ptr_eq(previous, suspect)) {
            self.turns.send_modify(|turn| *turn += 1);
        }
    }

    pub(super) async fn close(&self) {
        if let Some(live) = self.live.swap(None) {
            let _ = tokio::time::timeout(Duration::from_secs(1), live.connection.close(200, "bye".into())).await;
        }
    }

    async fn declare_base(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let (exchange, dead) = (self.prefix.as_str(), self.dead());
        channel.exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
        channel.exchange_declare(dead.as_str().into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        channel.queue_declare(dead.as_str().into(), QueueDeclareOptions::durable(), quorum()).await?;
        let bind = QueueBindOptions::default();
        channel.queue_bind(dead.as_str().into(), dead.as_str().into(), "".into(), bind, FieldTable::default()).await
    }

    /// Makes sure that messages of the topic have where to go; gives the name of that queue.
    pub(super) async fn declare(&self, live: &Live, channel: &Channel, topic: &str) -> lapin::Result<String> {
        let queue = format!("{}.{topic}", self.prefix);
        if live.declared.lock().contains(&queue) {
            return Ok(queue);
        }
        let mut arguments = quorum();
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(self.dead().into()));
        channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
        let (exchange, bind) = (self.prefix.as_str().into(), QueueBindOptions::default());
        channel.queue_bind(queue.as_str().into(), exchange, topic.into(), bind, FieldTable::default()).await?;
        live.declared.lock().insert(queue.clone());
        Ok(queue)
    }

    /// Hands messages over; tells which of them the broker has safely. All of them have to be answered in time.
    pub(super) async fn publish(&self, live: &Live, messages: Vec<Taken>) -> anyhow::Result<Vec<(Taken, bool)>> {
        let publishing = async {
            let channel = live.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let mut waiting: Vec<(Taken, PublisherConfirm)> = Vec::with_capacity(messages.len());
            for message in messages {
                self.declare(live, &channel, &message.topic).await?;
                let sent = channel.basic_publish(
                    self.prefix.as_str().into(),
                    message.topic.as_str().into(),
                    BasicPublishOptions { mandatory: true, immediate: false },
                    &message.payload,
                    properties(&message),
                );
                let confirm = sent.await?;
                waiting.push((message, confirm));
            }
            let mut answered = Vec::with_capacity(waiting.len());
            for (message, confirm) in waiting {
                // One that came back had no queue to go to.
                let safe = confirm.await? == Confirmation::Ack(None);
                if !safe {
                    live.declared.lock().clear();
                }
                answered.push((message, safe));
            }
            let _ = channel.close(200, "done".into()).await;
            anyhow::Ok(answered)
        };
        let start = Instant::now();
        let answered = tokio::time::timeout(self.timeout, publishing).await??;
        metrics::histogram!("queue_publish_duration_seconds").record(start.elapsed());
        Ok(answered)
    }

    pub(super) async fn channel(&self, live: &Live) -> lapin::Result<Channel> {
        live.connection.create_channel().await
    }

    fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

fn properties(message: &Taken) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString(message.tenant.as_str().into()));
    headers.insert("key".into(), AMQPValue::LongString(message.key.as_str().into()));
    headers.insert("created-at".into(), AMQPValue::LongLongInt(message.created_at.0));
    BasicProperties::default()
        .with_message_id(message.id.as_str().into())
        .with_delivery_mode(2)
        .with_content_type("application/octet-stream".into())
        .with_headers(headers)
}

/// Reads what [`properties`] wrote. `None` when it is no message of ours.
pub(super) fn read(topic: &str, properties: &BasicProperties, data: Vec<u8>) -> Option<Taken> {
    let headers = properties.headers().as_ref()?.inner();
    let text = |name: &str| match headers.get(name)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        _ => None,
    };
    let AMQPValue::LongLongInt(created_at) = headers.get("created-at")? else { return None };
    Some(Taken {
        id: properties.message_id().as_ref()?.to_string(),
        tenant: TenantId::parse(&text("tenant")?).ok()?,
        topic: topic.to_owned(),
        key: text("key")?,
        payload: data,
        attempt: 0,
        fence: 0,
        created_at: Timestamp(*created_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Taken {
        Taken {
            id: nsl_core::fresh("msg"),
            tenant: TenantId::fresh(),
            topic: "topic".into(),
            key: "schlüssel".into(),
            payload: vec![0, 255],
            attempt: 3,
            fence: 4,
            created_at: Timestamp(5),
        }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let sent = message();
        let read_back = read("topic", &properties(&sent), sent.payload.clone()).unwrap();
        assert_eq!((&read_back.id, &read_back.tenant, &read_back.key), (&sent.id, &sent.tenant, &sent.key));
        assert_eq!((read_back.created_at, read_back.payload), (sent.created_at, sent.payload));
        assert!(read("topic", &BasicProperties::default(), vec![]).is_none());
        let nameless = BasicProperties::default().with_headers(FieldTable::default());
        assert!(read("topic", &nameless.with_message_id("x".into()), vec![]).is_none());
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for bad in ["", "http://a:hunter2@x", "amqp://a:hunter2@x:port", "amqp://a:hunter2@x/?heartbeat=often"] {
            let why = parse(&Secret::new(bad)).err().unwrap();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert_eq!(parse(&Secret::new("amqp://x")).unwrap().query.heartbeat, Some(10));
        assert_eq!(parse(&Secret::new("amqps://x/?heartbeat=3")).unwrap().query.heartbeat, Some(3));
    }
}
