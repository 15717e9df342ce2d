use nsl_sandbox::{S3, http};

#[test]
fn a_wrong_signature_is_refused() {
    let mut server = S3::start().unwrap();
    let forged = "Authorization: AWS4-HMAC-SHA256 Credential=AKIASANDBOX/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=".to_owned() + &"0".repeat(64);
    let now = std::process::Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().unwrap();
    let now = String::from_utf8_lossy(&now.stdout).trim().to_owned();
    let forged = forged.replace("20240101", &now[..8]);
    let headers = [forged, format!("x-amz-date: {now}"), "x-amz-content-sha256: UNSIGNED-PAYLOAD".to_owned()];
    let reply = http("PUT", &server.endpoint(), &format!("/{}/k", S3::BUCKET), &headers, "v").unwrap();
    assert!(reply.status == 403 && reply.body.contains("SignatureDoesNotMatch"), "{}", reply.body);
    server.stop();
    server.start_again().unwrap();
}
