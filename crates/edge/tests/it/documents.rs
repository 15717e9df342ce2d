use serde_json::Value;

use crate::rig::Rig;

#[tokio::test]
async fn every_problem_can_be_looked_up() {
    let rig = Rig::start(&[]).await;
    let all: Value = rig.get("/problems").send().await.unwrap().json().await.unwrap();
    let items = all["items"].as_array().unwrap();
    assert!(items.len() > 30);
    for item in items {
        let slug = item["slug"].as_str().unwrap();
        let one: Value = rig.get(&format!("/problems/{slug}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(&one, item);
    }
    assert!(items.iter().any(|item| item["slug"] == "echo.full" && item["status"] == 507), "services bring theirs");
    let page = rig.get("/problems/auth.missing").header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("this needs a credential"));
    assert_eq!(rig.get("/problems/nonsense").send().await.unwrap().status(), 404);
    rig.stop().await;
}

#[tokio::test]
async fn the_pages_run_no_script_and_load_nothing_from_elsewhere() {
    let rig = Rig::start(&[]).await;
    let page = rig.get("/docs").send().await.unwrap();
    assert_eq!(
        page.headers()["content-security-policy"],
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let text = page.text().await.unwrap();
    assert!(!text.contains("<script") && !text.contains("style=") && !text.contains("http://"), "{text}");
    let style = rig.get("/docs/style.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    rig.stop().await;
}
