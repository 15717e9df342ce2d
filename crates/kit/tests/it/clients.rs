//! Who the handlers see, and both versions of the protocol.

use axum::{Extension, Router, routing::get};
use nsl_kit::serve::{Listener, Remote, redirect_to_https};

use super::{ask, connect, serve};

fn who() -> Router {
    Router::new()
        .route("/", get(async |Extension(remote): Extension<Remote>| format!("{} {}", remote.client, remote.secure)))
}

#[tokio::test]
async fn handlers_see_the_client_behind_trusted_proxies_only() {
    let request =
        "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 6.6.6.6, 192.0.2.1\r\nx-forwarded-proto: https\r\n\r\n";
    let direct = serve(&[], who()).await.unwrap();
    assert_eq!(ask(&mut connect(&direct).await, request).await.unwrap().1, "127.0.0.1 false");
    let behind = serve(&["http.trusted_proxies=127.0.0.0/8"], who()).await.unwrap();
    assert_eq!(ask(&mut connect(&behind).await, request).await.unwrap().1, "192.0.2.1 true");
    let upstream = serve(&["public.tls.mode=upstream"], who()).await.unwrap();
    assert_eq!(ask(&mut connect(&upstream).await, request).await.unwrap().1, "127.0.0.1 true");
}

#[tokio::test]
async fn http2_without_tls_is_spoken_too() {
    let serving = serve(&[], who()).await.unwrap();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let mut asked = Vec::new();
    for _ in 0..50 {
        asked.push(client.get(serving.url()).send());
    }
    for response in futures_util::future::join_all(asked).await {
        let response = response.unwrap();
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        assert_eq!(response.text().await.unwrap(), "127.0.0.1 false");
    }
}

#[tokio::test]
async fn the_redirect_listener_sends_to_https() {
    let settings = nsl_kit::Loader::default().load::<super::Sections>().unwrap().value;
    let listener = Listener::bind_plain("redirect", "127.0.0.1:0".parse().unwrap(), &settings.http).await.unwrap();
    let serving = listener.serve(redirect_to_https(None));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = client.post(format!("{}/v1/x?y=z", serving.url())).send().await.unwrap();
    assert_eq!(response.status(), 308);
    assert_eq!(response.headers()["location"], "https://127.0.0.1/v1/x?y=z");
}
