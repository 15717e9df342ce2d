use nsl_sandbox::{S3, http};

#[test]
fn a_wrong_signature_is_refused() {
    let mut server = S3::start().unwrap();
    let forged = "Authorization: AWS4-HMAC-SHA256 Credential=S3RVER/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00".to_owned();
    let date = "x-amz-date: 20240101T000000Z".to_owned();
    let reply = http("PUT", &server.endpoint(), &format!("/{}/k", S3::BUCKET), &[forged, date], "v").unwrap();
    assert_eq!(reply.status, 403, "{}", reply.body);
    server.stop();
    server.start_again().unwrap();
}
