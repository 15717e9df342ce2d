use nsl_api::audit::{Refusal, Refuse, SearchAudit, VerifyAudit};
use nsl_core::{Clock, Code, Cx, TenantId};
use nsl_sql::args;
use serde_json::json;

use crate::ground::{Ground, each};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_its_own_entries_page_by_page_with_what_was_sealed() {
    each(async |ground: Ground| {
        let (mine, theirs) = (TenantId::fresh(), TenantId::fresh());
        for number in 0..5 {
            ground.act(&mine, number).await;
        }
        ground.act(&theirs, 99).await;
        let cx = ground.cx(&mine, &["audit:read"]);
        let search = |after| SearchAudit {
            event_type: Some("test.deed_done".to_owned()),
            limit: 2,
            after,
            ..SearchAudit::default()
        };
        let (mut facts, mut after) = (Vec::new(), None);
        loop {
            let page = ground.audit.search(&cx, search(after)).await.unwrap();
            for entry in page.items {
                assert_eq!(
                    (entry.ip_address.as_deref(), entry.user_agent.as_deref()),
                    (Some("192.0.2.7"), Some("curl/8"))
                );
                assert!(!entry.erased);
                facts.push(entry.request_data.unwrap());
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..5).rev().map(|n| json!({ "number": n, "key": format!("diary-{n}") })).collect();
        assert_eq!(facts, expected);
        let none = SearchAudit { subject: Some("bob".to_owned()), limit: 10, ..SearchAudit::default() };
        assert!(ground.audit.search(&cx, none).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_needs_its_scope_and_reporting_needs_the_platform() {
    each(async |ground: Ground| {
        let tenant = TenantId::fresh();
        let cx = ground.cx(&tenant, &["storage:*"]);
        let search = SearchAudit { limit: 1, ..SearchAudit::default() };
        assert_eq!(ground.audit.search(&cx, search).await.unwrap_err().code, Code::Forbidden);
        assert_eq!(ground.audit.verify(&cx, VerifyAudit {}).await.unwrap_err().code, Code::Forbidden);
        let all = ground.cx(&tenant, &["*"]);
        let refused = ground.audit.refuse(&all, Refuse { refusals: Vec::new() }).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "audit.platform_only"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_an_entry_is_named_to_its_tenant_and_to_no_other() {
    each(async |ground: Ground| {
        let (mine, theirs) = (TenantId::fresh(), TenantId::fresh());
        for number in 0..3 {
            ground.act(&mine, number).await;
            ground.act(&theirs, number).await;
        }
        let verify =
            async |tenant| ground.audit.verify(&ground.cx(tenant, &["audit:read"]), VerifyAudit {}).await.unwrap();
        let whole = verify(&mine).await;
        assert!(whole.whole && whole.entries >= 3, "{whole:?}");
        let sql =
            "UPDATE audit_logs SET event_type = 'test.nothing' WHERE tenant_id = $1 AND event_type = 'test.deed_done'";
        assert_eq!(ground.tamper(sql, args![&mine]).await, 3);
        let broken = verify(&mine).await;
        assert!(!broken.whole && broken.faults.iter().all(|fault| fault.contains("changed")), "{broken:?}");
        assert!(verify(&theirs).await.whole);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_refusals_of_one_stranger_become_one_entry() {
    each(async |ground: Ground| {
        let tenant = TenantId::fresh();
        let refusal = || Refusal {
            tenant: Some(tenant.clone()),
            subject: None,
            ip: Some("198.51.100.9".parse().unwrap()),
            reason: "auth.key_unknown".to_owned(),
            service_name: "storage".to_owned(),
            method_name: "GET /v1/storage/usage".to_owned(),
            status_code: 401,
            count: 100,
            at: ground.clock.now(),
            facts: Default::default(),
        };
        let platform = Cx::system(tenant.clone(), std::time::Duration::from_secs(10));
        for _ in 0..10 {
            ground.audit.refuse(&platform, Refuse { refusals: vec![refusal()] }).await.unwrap();
        }
        ground.ledger.close_refusals(true).await.unwrap();
        let search = SearchAudit { event_type: Some("access.refused".to_owned()), limit: 10, ..SearchAudit::default() };
        let found = ground.audit.search(&ground.cx(&tenant, &["audit:read"]), search).await.unwrap().items;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].status_code, found[0].ip_address.as_deref()), (Some(401), Some("198.51.100.9")));
        assert_eq!(found[0].response_data, Some(json!({ "count": 1_000 })));
        let crowd = Refuse { refusals: (0..10_001).map(|_| refusal()).collect() };
        assert_eq!(ground.audit.refuse(&platform, crowd).await.unwrap_err().code, Code::Invalid);
    })
    .await;
}
