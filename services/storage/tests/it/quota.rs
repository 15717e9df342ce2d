use futures_util::future::join_all;
use nsl_api::storage::{Chain, Delete, PutMany};
use nsl_storage::{Config, Quota};

use crate::ground::{each, put, slug};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_fill_a_quota_to_the_last_item_and_byte() {
    each(async |ground| {
        for (quota, fits, refusal) in [
            (Quota { items: 37, bytes: 1 << 30 }, 37, "storage.quota_items"),
            (Quota { items: 1_000, bytes: 41 * 10 + 9 }, 41, "storage.quota_bytes"),
        ] {
            ground.built.tune(Config::default(), quota);
            let cx = ground.alone();
            let outcomes = join_all((0..200).map(|number| {
                let wanted = put(&format!("k{number}"), "1234567890");
                ground.put(&cx, wanted)
            }))
            .await;
            let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(done, fits, "{quota:?}");
            for error in outcomes.into_iter().filter_map(Result::err) {
                assert_eq!((&*error.slug, error.code), (refusal, nsl_core::Code::Exhausted));
            }
            assert_eq!(ground.exact_usage(&cx.tenant).await, (fits as i64 * 10, fits as i64));
            assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, fits);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tenant_can_make_room_and_trimming_counts() {
    each(async |ground| {
        let quota = Quota { items: 2, bytes: 40 };
        ground.built.tune(Config { keep_versions: 2, ..Config::default() }, quota);
        let cx = ground.alone();
        ground.put(&cx, put("a", "1234567890")).await.unwrap();
        ground.put(&cx, put("b", "1234567890")).await.unwrap();
        assert_eq!(slug(ground.put(&cx, put("c", "1")).await), "storage.quota_items");
        let delete = Delete { chain: Chain::NeoN3, key: "b".into(), expected_version: None };
        ground.client.delete(&cx, delete).await.unwrap();
        ground.put(&cx, put("c", "1")).await.unwrap();
        // 21 bytes are held; each overwrite of `a` keeps the one before.
        ground.put(&cx, put("a", "2234567890")).await.unwrap();
        assert_eq!(slug(ground.put(&cx, put("a", "3234567890")).await), "storage.quota_bytes");
        ground.put(&cx, put("a", "323456789")).await.unwrap();
        assert_eq!(ground.exact_usage(&cx.tenant).await, (40, 2));
        // The oldest of three past states goes, so one of its size fits.
        ground.put(&cx, put("a", "423456789")).await.unwrap();
        ground.put(&cx, put("a", "5234567890")).await.unwrap();
        assert_eq!(slug(ground.put(&cx, put("a", "62345678901")).await), "storage.quota_bytes");
        ground.exact_usage(&cx.tenant).await;
        let batch = PutMany { items: vec![put("a", "1"), put("d", "1")] };
        let error = ground.client.put_many(&cx, batch).await.unwrap_err();
        assert_eq!((&*error.slug, &error.details["item"]), ("storage.quota_items", &1.into()));
        assert_eq!(ground.text(&cx, "a").await, "5234567890");
        // A lower quota refuses growth, not what shrinks.
        ground.built.tune(Config { keep_versions: 0, ..Config::default() }, Quota { items: 1, bytes: 5 });
        assert_eq!(slug(ground.put(&cx, put("e", "1")).await), "storage.quota_bytes");
        ground.put(&cx, put("a", "1")).await.unwrap();
        ground.exact_usage(&cx.tenant).await;
        ground.built.tune(Config::default(), Quota::default());
        ground.put(&cx, put("e", "1")).await.unwrap();
        ground.exact_usage(&cx.tenant).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_value_larger_than_the_quota_is_refused_also_as_the_first() {
    each(async |ground| {
        ground.built.tune(Config::default(), Quota { items: 10, bytes: 5 });
        let cx = ground.alone();
        assert_eq!(slug(ground.put(&cx, put("a", "123456")).await), "storage.quota_bytes");
        ground.put(&cx, put("a", "12345")).await.unwrap();
        assert_eq!(ground.exact_usage(&cx.tenant).await, (5, 1));
    })
    .await;
}
