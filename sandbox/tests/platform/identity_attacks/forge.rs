use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(super) const OUTSIDE: &str = "https://issuer.example";
pub(super) const AUDIENCE: &str = "nsl";

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn text_of(part: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Exactly these texts, signed somehow.
pub(super) fn token(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

pub(super) fn hs256(secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |message| hmac::sign(&key, message).as_ref().to_vec()
}

/// An RSA key, of an issuer or of an attacker.
pub(super) struct Rsa(RsaKeyPair);

impl Rsa {
    pub(super) fn fresh() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn sign_by(&self, how: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(how, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&RSA_PKCS1_SHA256, message)
    }

    pub(super) fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&RSA_PSS_SHA256, message)
    }

    pub(super) fn jwk(&self, id: &str) -> Value {
        let n = b64(self.0.public_key().modulus().big_endian_without_leading_zero());
        let e = b64(self.0.public_key().exponent().big_endian_without_leading_zero());
        json!({ "kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": n, "e": e })
    }
}

/// An issuer outside the platform whose tokens it takes: an attacker may have an account there.
pub(super) struct Outside {
    pub(super) key: Rsa,
    room: TempDir,
}

impl Outside {
    pub(super) fn fresh() -> Self {
        let (key, room) = (Rsa::fresh(), tempfile::tempdir().unwrap());
        let set = json!({ "keys": [key.jwk("out-1")] }).to_string();
        std::fs::write(room.path().join("jwks.json"), set).unwrap();
        Self { key, room }
    }

    pub(super) fn file(&self) -> String {
        self.room.path().join("jwks.json").to_str().unwrap().to_owned()
    }

    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": OUTSIDE, "aud": AUDIENCE, "sub": "mallory", "tenant": "ten_outside", "scope": "*",
            "exp": now() + 600, "iat": now() - 5, "jti": "o1",
        })
    }

    /// Exactly these claims with its real key.
    pub(super) fn signed(&self, claims: &str) -> String {
        token(r#"{"alg":"RS256","kid":"out-1","typ":"JWT"}"#, claims, |message| self.key.sign(message))
    }
}

/// One who holds a key and proves it (RFC 9449).
pub(super) struct Holder {
    pair: EcdsaKeyPair,
    jwk: Value,
}

impl Holder {
    pub(super) fn fresh() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) });
        Self { pair, jwk }
    }

    pub(super) fn proof(
        &self,
        method: &str,
        url: &str,
        shown: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.jwk });
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        let mut claims = json!({ "jti": b64(id), "htm": method, "htu": url, "iat": now() });
        if let Some(shown) = shown {
            claims["ath"] = json!(b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, shown.as_bytes())));
        }
        change(&mut claims);
        token(&header.to_string(), &claims.to_string(), |message| {
            self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        })
    }
}
