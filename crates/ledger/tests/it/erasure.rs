use nsl_core::{Subject, TenantId};
use nsl_ledger::Search;
use nsl_sql::{Change, Tx};

use crate::ground::each;

struct Forget(TenantId, Subject);

impl Change for Forget {
    type Done = Vec<String>;

    async fn apply<'a>(
        group: &'a [&'a Self],
        tx: &'a mut Tx<'_>,
    ) -> nsl_core::Result<Vec<nsl_core::Result<Vec<String>>>> {
        let mut done = Vec::new();
        for forget in group {
            done.push(Ok(nsl_keyring::destroy(tx, &forget.0, &forget.1).await?));
        }
        Ok(done)
    }
}

#[tokio::test]
async fn an_erased_person_can_not_be_read_and_the_chain_still_verifies() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        ground.act(&tenant, 3).await;
        let search = || Search { event_type: Some("test.deed_done".into()), limit: 10, ..Search::default() };
        let before = ground.ledger.search(&tenant, search()).await.unwrap();
        assert_eq!(before.len(), 3);
        assert_eq!(before[0].ip_address.as_deref(), Some("192.0.2.7"));
        assert_eq!(before[0].user_agent.as_deref(), Some("curl/8"));
        assert!(before[0].personal.as_ref().unwrap()["key"].as_str().unwrap().starts_with("diary-"));

        let alice = Subject::parse("sub_alice").unwrap();
        let gone = ground.db.write(&ground.cx(&tenant), Forget(tenant.clone(), alice.clone())).await.unwrap();
        ground.keyring.forget(&tenant, &alice);
        assert_eq!(gone.len(), 1);

        let after = ground.ledger.search(&tenant, search()).await.unwrap();
        assert!(after.iter().all(|found| found.erased && found.ip_address.is_none() && found.personal.is_none()));
        assert!(ground.verdict().await.whole());
        assert!(
            ground.ledger.search(&TenantId::fresh(), search()).await.unwrap().is_empty(),
            "other tenants see nothing"
        );
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        ground.act(&tenant, 25).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let search = Search {
                event_type: Some("test.deed_done".into()),
                limit: 10,
                after: after.clone(),
                ..Search::default()
            };
            let page = ground.ledger.search(&tenant, search).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            seen.extend(page.into_iter().map(|found| found.id));
        }
        let mut sorted = seen.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!((seen.len(), &sorted), (25, &seen));
    })
    .await;
}
