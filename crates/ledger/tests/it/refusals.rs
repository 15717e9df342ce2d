use std::{collections::BTreeMap, time::Duration};

use nsl_core::{Clock, TenantId};
use nsl_ledger::{PLATFORM, Refusal, Search};

use crate::ground::each;

#[tokio::test]
async fn a_stranger_at_the_door_leaves_one_entry_a_minute_however_often_it_knocks() {
    each(async |ground| {
        let knock = |ip: &str, count| Refusal {
            tenant: None,
            subject: None,
            ip: Some(ip.parse().unwrap()),
            reason: "auth.key_unknown".into(),
            service: "storage".into(),
            method: "get".into(),
            status_code: 401,
            count,
            at: ground.clock.now(),
            facts: BTreeMap::new(),
        };
        for _ in 0..50 {
            ground
                .ledger
                .refuse(vec![knock("192.0.2.1", 3), knock("192.0.2.1", 1), knock("192.0.2.2", 1)])
                .await
                .unwrap();
        }
        assert_eq!(ground.ledger.close_refusals(false).await.unwrap(), 0, "the minute is not over");
        ground.clock.advance(Duration::from_secs(130));
        assert_eq!(ground.ledger.close_refusals(false).await.unwrap(), 2);
        assert_eq!(ground.ledger.close_refusals(false).await.unwrap(), 0);
        let platform = TenantId::parse(PLATFORM).unwrap();
        let search = Search { event_type: Some("access.refused".into()), limit: 10, ..Search::default() };
        let mut found = ground.ledger.search(&platform, search).await.unwrap();
        found.sort_by(|a, b| a.ip_address.cmp(&b.ip_address));
        let counts: Vec<_> = found
            .iter()
            .map(|f| (f.ip_address.as_deref(), f.response_data.clone().unwrap()["count"].clone()))
            .collect();
        assert_eq!(counts, [(Some("192.0.2.1"), 200.into()), (Some("192.0.2.2"), 50.into())]);
        assert_eq!((found[0].status_code, found[0].error_message.as_deref()), (Some(401), Some("auth.key_unknown")));
        assert!(ground.verdict().await.whole());
    })
    .await;
}

#[tokio::test]
async fn a_refusal_keeps_what_was_needed_and_what_forbade_it() {
    each(async |ground| {
        let facts = |needs: &str, policies: &str| {
            BTreeMap::from([("needs".to_owned(), needs.to_owned()), ("policies".to_owned(), policies.to_owned())])
        };
        let refusal = |facts| Refusal {
            tenant: Some(TenantId::parse("ten_1").unwrap()),
            subject: Some(nsl_core::Subject::parse("alice").unwrap()),
            ip: None,
            reason: "auth.policy_denied".into(),
            service: "storage".into(),
            method: "get".into(),
            status_code: 403,
            count: 2,
            at: ground.clock.now(),
            facts,
        };
        let both = [facts("storage:read", "night"), facts("storage:write", "night,weekend")];
        for _ in 0..3 {
            ground.ledger.refuse(both.iter().cloned().map(refusal).collect()).await.unwrap();
        }
        assert_eq!(ground.ledger.close_refusals(true).await.unwrap(), 2);
        let search = Search { event_type: Some("access.refused".into()), limit: 10, ..Search::default() };
        let found = ground.ledger.search(&TenantId::parse("ten_1").unwrap(), search).await.unwrap();
        let mut told: Vec<_> = found.iter().map(|entry| entry.response_data.clone().unwrap()).collect();
        told.sort_by_key(|facts| facts["needs"].to_string());
        for (told, kept) in told.iter().zip(&both) {
            assert_eq!(
                (&told["needs"], &told["policies"]),
                (&kept["needs"].as_str().into(), &kept["policies"].as_str().into())
            );
            assert_eq!(told["count"], 6);
        }
        assert!(ground.verdict().await.whole());
    })
    .await;
}
