use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, uri::Authority};

/// Answers everything with 308 to the same path over https, at `host` or at the host that was asked
/// for (without its port, which was the plain one).
pub fn redirect_to_https(host: Option<String>) -> Router {
    Router::new().fallback(send_on).with_state(host)
}

async fn send_on(State(host): State<Option<String>>, request: Request) -> Response {
    match target(host.as_deref(), &request) {
        Some(location) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)], Body::empty()).into_response()
        }
        None => (StatusCode::BAD_REQUEST, "the request names no valid host").into_response(),
    }
}

fn target(fixed: Option<&str>, request: &Request) -> Option<HeaderValue> {
    let asked = || {
        let field = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let authority: Authority = match field {
            Some(host) => host.parse().ok()?,
            None => request.uri().authority()?.clone(),
        };
        // Credentials in front of the host could make the address look like another's.
        (!authority.as_str().contains('@')).then(|| authority.host().to_owned())
    };
    let host = fixed.map(str::to_owned).or_else(asked).filter(|host| !host.is_empty())?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    HeaderValue::try_from(format!("https://{host}{}", if path.starts_with('/') { path } else { "/" })).ok()
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    async fn ask(fixed: Option<&str>, host: Option<&str>, path: &str) -> (u16, String) {
        let mut request = Request::builder().uri(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let router = redirect_to_https(fixed.map(str::to_owned));
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    }

    #[tokio::test]
    async fn everything_is_sent_to_https() {
        assert_eq!(ask(None, Some("api.example"), "/v1/a?b=c").await, (308, "https://api.example/v1/a?b=c".into()));
        assert_eq!(ask(None, Some("api.example:80"), "/").await, (308, "https://api.example/".into()));
        assert_eq!(ask(None, Some("[::1]:80"), "/").await, (308, "https://[::1]/".into()));
        assert_eq!(ask(Some("nsl.example:8443"), Some("evil"), "/x").await, (308, "https://nsl.example:8443/x".into()));
        assert_eq!(ask(None, None, "/x").await.0, 400);
        assert_eq!(ask(None, Some("a@evil"), "/x").await.0, 400);
    }
}
