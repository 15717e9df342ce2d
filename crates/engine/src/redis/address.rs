use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisResult,
    TlsCertificates,
};
use nsl_core::Secret;

/// A node, or the Sentinels that know which node is the master.
pub(super) struct Address {
    node: ConnectionInfo,
    sentinels: Vec<ConnectionInfo>,
    /// The master's name among the Sentinels.
    name: String,
    authorities: Option<Vec<u8>>,
}

impl Address {
    /// The error never repeats the URL, which may hold a password.
    pub(super) fn parse(
        url: &Secret,
        sentinel_password: &Secret,
        authorities: Option<Vec<u8>>,
    ) -> Result<Self, String> {
        let forms = "must be redis://, rediss:// or redis+sentinel://";
        let text = url.expose_str().ok_or(forms)?;
        if text.contains('#') {
            return Err("must not have a fragment: certificates are always checked".into());
        }
        let (scheme, rest) = text.split_once("://").ok_or(forms)?;
        let plain = match scheme {
            "redis" | "redis+sentinel" => "redis",
            "rediss" | "rediss+sentinel" => "rediss",
            _ => return Err(forms.into()),
        };
        let parse = |text: String| text.into_connection_info().map_err(|_| "does not parse".to_owned());
        if !scheme.ends_with("+sentinel") {
            return Ok(Self { node: parse(text.to_owned())?, sentinels: Vec::new(), name: String::new(), authorities });
        }
        let (who, place) = rest.rsplit_once('@').map_or(("", rest), |(who, place)| (who, place));
        let (hosts, path) = place.split_once('/').ok_or("names no master: redis+sentinel://host,host/master")?;
        let (name, db) = path.split_once('/').unwrap_or((path, "0"));
        if name.is_empty() || hosts.is_empty() {
            return Err("names no master: redis+sentinel://host,host/master".into());
        }
        let at = if who.is_empty() { "" } else { "@" };
        let mut sentinels = Vec::new();
        for host in hosts.split(',') {
            let port = if host.ends_with(']') || !host.contains(':') { ":26379" } else { "" };
            let mut sentinel = parse(format!("{plain}://{host}{port}"))?;
            if let Some(password) = sentinel_password.expose_str().filter(|password| !password.is_empty()) {
                sentinel =
                    sentinel.clone().set_redis_settings(sentinel.redis_settings().clone().set_password(password));
            }
            sentinels.push(sentinel);
        }
        let node = parse(format!("{plain}://{who}{at}sentinel.invalid/{db}"))?;
        Ok(Self { node, sentinels, name: name.to_owned(), authorities })
    }

    /// A client of the node that takes writes, as far as anyone knows.
    pub(super) async fn master(&self, config: &AsyncConnectionConfig) -> RedisResult<Client> {
        if self.sentinels.is_empty() {
            return self.client(self.node.clone());
        }
        let mut failed = (ErrorKind::Client, "no sentinel answered").into();
        for sentinel in &self.sentinels {
            match self.ask(sentinel, config).await {
                Ok(Some((host, port))) => {
                    let addr = match self.node.addr() {
                        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
                        }
                        _ => ConnectionAddr::Tcp(host, port),
                    };
                    return self.client(self.node.clone().set_addr(addr));
                }
                Ok(None) => failed = (ErrorKind::Client, "a sentinel does not know this master").into(),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn ask(
        &self,
        sentinel: &ConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<Option<(String, u16)>> {
        let client = self.client(sentinel.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        let mut question = ::redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.name).query_async(&mut connection).await
    }

    fn client(&self, place: ConnectionInfo) -> RedisResult<Client> {
        match &self.authorities {
            None => Client::open(place),
            Some(pem) => {
                Client::build_with_tls(place, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(&Secret::new(url), &Secret::new("sentinel word"), None)
    }

    #[test]
    fn sentinels_and_master_are_read_from_one_url() {
        let address = parse("rediss+sentinel://me:p%40ss@one,two:5000,[::1]/main/3").unwrap();
        assert_eq!(address.name, "main");
        let hosts: Vec<_> = address.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        assert_eq!(hosts.len(), 3);
        assert!(hosts[0].contains("one:26379") && hosts[1].contains("two:5000"), "{hosts:?}");
        assert_eq!(address.node.redis_settings().password(), Some("p@ss"));
        assert_eq!(address.node.redis_settings().db(), 3);
        assert_eq!(address.sentinels[0].redis_settings().password(), Some("sentinel word"));
        assert!(matches!(address.node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for bad in [
            "",
            "http://:hunter2@x",
            "redis+sentinel://:hunter2@host",
            "redis+sentinel://:hunter2@/main",
            "rediss://:hunter2@x/#insecure",
            "redis://:hunter2@x/notanumber",
        ] {
            let why = parse(bad).err().unwrap();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(parse("redis://:hunter2@localhost:1/0").is_ok());
    }
}
