//! Demonstrating proof of possession (RFC 9449): that who shows a token has the key that it is bound to.

use std::time::Duration;

use nsl_core::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::{
    claims::{moment, text},
    decode, encode,
    jwk::Jwk,
    jws::{Presented, strict},
    sha256,
};

/// The `typ` of proofs.
pub const KIND: &str = "dpop+jwt";
/// How old a proof may be.
const OLDEST_S: i64 = 60;
/// How far ahead the clock of who made it may be.
const AHEAD_S: i64 = 30;
const LONGEST_ID: usize = 256;

/// So long must a proof be remembered to be taken once only.
pub const REMEMBERED: Duration = Duration::from_secs((OLDEST_S + AHEAD_S) as u64);

/// The request that a proof came with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Scheme, authority and path, as the client must have written it; query and fragment don't count.
    pub url: &'a str,
    /// The access token that came along; none where one is only asked for.
    pub token: Option<&'a str>,
    pub now: Timestamp,
}

/// Checks a proof and gives the thumbprint of its key. `first` is asked last, with what tells the proof apart:
/// it answers false when it was shown before within [`REMEMBERED`]. An error says what is wrong with the proof.
pub fn check(proof: &str, request: &Request<'_>, first: impl FnOnce([u8; 32]) -> bool) -> Result<String, &'static str> {
    let presented = Presented::read(proof, &[KIND], true).map_err(|_| "it is not a DPoP proof")?;
    let jwk = presented.embedded.as_ref().and_then(|jwk| Jwk::deserialize(jwk).ok()).ok_or("its key is missing")?;
    let key = jwk.read().filter(|key| key.algorithm == presented.algorithm).ok_or("its key is not taken")?;
    if !key.verify(presented.signed.as_bytes(), &presented.signature) {
        return Err("its signature is wrong");
    }
    let claims: Map<String, Value> =
        decode(presented.payload).and_then(|text| strict(&text)).ok_or("its claims cannot be read")?;
    let id = text(&claims, "jti").filter(|id| !id.is_empty() && id.len() <= LONGEST_ID).ok_or("its jti is missing")?;
    if text(&claims, "htm") != Some(request.method) {
        return Err("its htm is another method");
    }
    if !text(&claims, "htu").is_some_and(|url| is_same(url, request.url)) {
        return Err("its htu is another URL");
    }
    let made = moment(&claims, "iat").ok().flatten().ok_or("its iat is missing")?;
    let now = crate::access::seconds(request.now);
    if made < now.saturating_sub(OLDEST_S) || made > now.saturating_add(AHEAD_S) {
        return Err("its iat is not now");
    }
    if let Some(token) = request.token {
        let expected = encode(sha256(token.as_bytes()));
        let named = text(&claims, "ath").unwrap_or_default();
        if !bool::from(named.as_bytes().ct_eq(expected.as_bytes())) {
            return Err("its ath is another token");
        }
    }
    let thumbprint = jwk.thumbprint().ok_or("its key is not taken")?;
    let mark = sha256(format!("{thumbprint}\n{id}").as_bytes());
    if !first(mark.as_ref().try_into().expect("SHA-256 has 32 bytes")) {
        return Err("it was used before");
    }
    Ok(thumbprint)
}

// RFC 9449 section 4.3: compared without query and fragment, after the normalisation of scheme and host.
fn is_same(said: &str, meant: &str) -> bool {
    match (split(said), split(meant)) {
        (Some(said), Some(meant)) => said == meant,
        _ => false,
    }
}

fn split(url: &str) -> Option<(String, String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let scheme = scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default).map(str::to_owned).unwrap_or(authority);
    (!authority.is_empty() && !authority.contains('@')).then_some((scheme, authority, path))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use serde_json::json;

    use super::*;

    struct Holder {
        pair: EcdsaKeyPair,
        jwk: Value,
    }

    fn holder() -> Holder {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) });
        Holder { pair, jwk }
    }

    impl Holder {
        fn sign(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", encode(signature))
        }

        fn proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
            let mut header = json!({ "alg": "ES256", "typ": KIND, "jwk": self.jwk });
            let mut claims = json!({
                "jti": "p1", "htm": "POST", "htu": "https://api.example/v1/x", "iat": 1000,
                "ath": encode(sha256(b"a.b.c")),
            });
            change(&mut header, &mut claims);
            self.sign(&header, &claims)
        }
    }

    const REQUEST: Request<'static> = Request {
        method: "POST",
        url: "https://api.example/v1/x",
        token: Some("a.b.c"),
        now: Timestamp(1_000_000_000),
    };

    #[test]
    fn a_right_proof_gives_the_thumbprint_of_its_key_once() {
        let holder = holder();
        let proof = holder.proof(|_, _| {});
        let mut seen = HashSet::new();
        assert_eq!(check(&proof, &REQUEST, |mark| seen.insert(mark)), Ok(crate::thumbprint(&holder.jwk).unwrap()));
        assert_eq!(check(&proof, &REQUEST, |mark| seen.insert(mark)), Err("it was used before"));
        let other = holder.proof(|_, claims| claims["jti"] = json!("p2"));
        assert!(check(&other, &REQUEST, |mark| seen.insert(mark)).is_ok());
    }

    #[test]
    fn each_flaw_is_refused_without_being_remembered() {
        let holder = holder();
        let stranger = self::holder();
        let never = |_| panic!("a flawed proof is not remembered");
        for (what, proof) in [
            ("typ", holder.proof(|header, _| header["typ"] = json!("JWT"))),
            ("typ", holder.proof(|header, _| header["typ"] = json!("at+jwt"))),
            ("alg", holder.proof(|header, _| header["alg"] = json!("none"))),
            ("alg", holder.proof(|header, _| header["alg"] = json!("HS256"))),
            ("alg", holder.proof(|header, _| header["alg"] = json!("RS256"))),
            ("key", holder.proof(|header, _| header["jwk"] = Value::Null)),
            ("key", holder.proof(|header, _| header["jwk"] = stranger.jwk.clone())),
            ("private key", holder.proof(|header, _| header["jwk"]["d"] = json!("AA"))),
            ("symmetric key", holder.proof(|header, _| header["jwk"] = json!({ "kty": "oct", "k": "AA" }))),
            ("jku", holder.proof(|header, _| header["jku"] = json!("https://evil.example"))),
            ("crit", holder.proof(|header, _| header["crit"] = json!(["x"]))),
            ("jti", holder.proof(|_, claims| claims["jti"] = json!(""))),
            ("jti", holder.proof(|_, claims| claims["jti"] = json!("a".repeat(257)))),
            ("htm", holder.proof(|_, claims| claims["htm"] = json!("GET"))),
            ("htm", holder.proof(|_, claims| claims["htm"] = json!("post"))),
            ("htu", holder.proof(|_, claims| claims["htu"] = json!("https://evil.example/v1/x"))),
            ("htu", holder.proof(|_, claims| claims["htu"] = json!("http://api.example/v1/x"))),
            ("htu", holder.proof(|_, claims| claims["htu"] = json!("https://api.example/v1/y"))),
            ("htu", holder.proof(|_, claims| claims["htu"] = json!("https://u@api.example/v1/x"))),
            ("htu", holder.proof(|_, claims| claims["htu"] = json!("/v1/x"))),
            ("iat", holder.proof(|_, claims| claims["iat"] = json!(939))),
            ("iat", holder.proof(|_, claims| claims["iat"] = json!(1031))),
            ("iat", holder.proof(|_, claims| claims["iat"] = json!("1000"))),
            ("iat", holder.proof(|_, claims| claims["iat"] = Value::Null)),
            ("ath", holder.proof(|_, claims| claims["ath"] = json!(encode(sha256(b"a.b.d"))))),
            ("ath", holder.proof(|_, claims| claims["ath"] = Value::Null)),
            ("signature", format!("{}A", &holder.proof(|_, _| {}).trim_end_matches(char::is_alphanumeric))),
            ("two", format!("{0},{0}", holder.proof(|_, _| {}))),
            ("nothing", String::new()),
        ] {
            assert!(check(&proof, &REQUEST, never).is_err(), "{what}");
        }
    }

    #[test]
    fn urls_are_the_same_in_the_ways_of_the_standard() {
        for same in ["HTTPS://API.example/v1/x", "https://api.example:443/v1/x", "https://api.example/v1/x?a=1#b"] {
            assert!(is_same(same, REQUEST.url), "{same}");
        }
        for other in ["https://api.example/v1/X", "https://api.example/v1/x/", "https://api.example:8443/v1/x", "x"] {
            assert!(!is_same(other, REQUEST.url), "{other}");
        }
        assert!(is_same("http://a.example", "http://a.example:80/"));
    }
}
