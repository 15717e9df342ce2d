use std::{sync::atomic::Ordering, time::Duration};

use nsl_kit::Tasks;

use crate::rig::{KEY, Rig};

#[tokio::test]
async fn refusals_are_counted_by_caller_reason_and_minute() {
    let rig = Rig::start(&[]).await;
    for _ in 0..3 {
        rig.with_bearer("nsl_wrong").await;
    }
    rig.get("/v1/echo/me").send().await.unwrap();
    for path in ["/v1/echo/fail/forbidden", "/v1/echo/fail/hidden", "/v1/echo/fail/gone", "/v1/echo/fail/full"] {
        rig.get(path).bearer_auth(KEY).send().await.unwrap();
    }
    rig.clock.advance(Duration::from_secs(60));
    rig.with_bearer("nsl_wrong").await;

    rig.audit.away.store(true, Ordering::SeqCst);
    let tasks = Tasks::new();
    tasks.spawn("refusals", |stop| rig.edge.clone().run(stop));
    rig.audit.turned_away.notified().await;
    assert!(rig.audit.told.lock().is_empty());
    rig.audit.away.store(false, Ordering::SeqCst);
    assert!(tasks.drain(Duration::from_secs(5)).await.is_empty(), "what is left is told at the stop");

    let mut told: Vec<_> = rig
        .audit
        .told
        .lock()
        .iter()
        .map(|row| {
            let who = row.subject.as_ref().map_or_else(|| row.ip.unwrap().to_string(), ToString::to_string);
            format!("{who} {} {} {} {} x{}", row.reason, row.service_name, row.method_name, row.status_code, row.count)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "127.0.0.1 auth.key_unknown echo GET /v1/echo/me 401 x1",
            "127.0.0.1 auth.key_unknown echo GET /v1/echo/me 401 x3",
            "127.0.0.1 auth.missing echo GET /v1/echo/me 401 x1",
            "alice auth.scope_missing echo GET /v1/echo/fail/{how} 403 x1",
            "alice echo.full echo GET /v1/echo/fail/{how} 507 x1",
            "alice echo.gone echo GET /v1/echo/fail/{how} 410 x1",
        ]
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_flood_of_strangers_takes_bounded_memory() {
    let rig = Rig::start(&["http.trusted_proxies=127.0.0.0/8"]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..8u32 {
        let (http, url) = (rig.http.clone(), format!("{}/v1/echo/me", rig.url));
        tasks.spawn(async move {
            for i in 0..1_500u32 {
                let stranger = format!("10.{lane}.{}.{}", i / 250, i % 250);
                http.get(&url).header("x-forwarded-for", stranger).send().await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    rig.edge.clone().run(stop).await.unwrap();
    let told = std::mem::take(&mut *rig.audit.told.lock());
    assert_eq!(told.iter().map(|row| row.count).sum::<u64>(), 12_000, "none is lost");
    assert!(told.len() <= 10_010, "{}", told.len());
    let together: u64 = told.iter().filter(|row| row.ip.is_none()).map(|row| row.count).sum();
    assert_eq!(together, 2_000, "those beyond the bound are counted together");
    rig.stop().await;
}
