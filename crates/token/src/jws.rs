use nsl_core::{Timestamp, scan};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    claims::{Checked, Expected, text},
    decode,
    jwk::Algorithm,
    jwks::{KeySet, Lookup},
};

/// Longer tokens are refused unread.
const LONGEST: usize = 8 * 1024;
/// Header fields that would let a token bring its own key or change how it is read.
const REFUSED_FIELDS: [&str; 8] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// Why a token was refused, for the log and the problem's details; it names no value of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Form(&'static str),
    /// It names a key that is not in the set: perhaps the set is old.
    UnknownKey,
    Signature,
    Expired,
    Claim(&'static str),
}

/// A token whose form is right and whose key is named, before anything in it is believed.
pub struct Presented<'a> {
    pub(crate) signed: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    key: Option<String>,
    pub(crate) embedded: Option<Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl<'a> Presented<'a> {
    /// Takes compact tokens whose `typ` is one of `kinds` (in lower case; one without is a `jwt`).
    pub fn parse(token: &'a str, kinds: &[&str]) -> Result<Self, Unfit> {
        Self::read(token, kinds, false)
    }

    pub(crate) fn read(token: &'a str, kinds: &[&str], brings_key: bool) -> Result<Self, Unfit> {
        if token.len() > LONGEST {
            return Err(Unfit::Form("length"));
        }
        let parts: [&str; 3] = token.splitn(4, '.').collect::<Vec<_>>().try_into().map_err(|_| Unfit::Form("parts"))?;
        let [header, payload, signature] = parts;
        let fields: Header = decode(header).and_then(|text| strict(&text)).ok_or(Unfit::Form("header"))?;
        let Header { alg, typ, kid, mut rest } = fields;
        let embedded = if brings_key { rest.remove("jwk") } else { None };
        if rest.keys().any(|field| REFUSED_FIELDS.contains(&field.as_str())) {
            return Err(Unfit::Form("header field"));
        }
        let kind = typ.as_deref().unwrap_or("jwt").to_ascii_lowercase();
        if !kinds.contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
            return Err(Unfit::Form("typ"));
        }
        if rest.contains_key("cty") {
            return Err(Unfit::Form("cty"));
        }
        let algorithm = Algorithm::parse(&alg).ok_or(Unfit::Form("alg"))?;
        let signature = decode(signature).ok_or(Unfit::Form("signature"))?;
        let signed = &token[..header.len() + 1 + payload.len()];
        Ok(Self { signed, payload, signature, algorithm, key: kid, embedded })
    }

    /// Who it says issued it: only good for choosing whose keys to check it with.
    pub fn claimed_issuer(&self) -> Option<String> {
        let claims: Map<String, Value> = strict(&decode(self.payload)?)?;
        text(&claims, "iss").map(str::to_owned)
    }

    /// What was signed, when the signature is right.
    pub fn verify(&self, keys: &KeySet) -> Result<Vec<u8>, Unfit> {
        let key = match keys.find(self.key.as_deref(), self.algorithm) {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(Unfit::UnknownKey),
            Lookup::Mismatched => return Err(Unfit::Signature),
        };
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(Unfit::Signature);
        }
        decode(self.payload).ok_or(Unfit::Form("payload"))
    }

    /// Checks the signature, then the claims. `UnknownKey` asks for a fresh key set.
    pub fn check(&self, keys: &KeySet, expected: &Expected<'_>, now: Timestamp) -> Result<Checked, Unfit> {
        let claims: Map<String, Value> = strict(&self.verify(keys)?).ok_or(Unfit::Form("payload"))?;
        expected.read(&claims, now)
    }
}

/// Reads an object of strict JSON.
pub(crate) fn strict<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    scan::scan(text).ok()?;
    let is_object = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    // Serde would take the fields of a structure from an array, in order.
    if is_object { serde_json::from_slice(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode;

    fn refusal(header: &str) -> Option<Unfit> {
        let token = format!("{}.e30.AA", encode(header));
        Presented::parse(&token, &["jwt", "at+jwt"]).err()
    }

    #[test]
    fn headers_have_one_reading() {
        for fine in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"ES256","typ":"JWT","kid":"../../etc/passwd"}"#,
            r#"{"alg":"EdDSA","typ":"application/AT+JWT"}"#,
        ] {
            assert_eq!(refusal(fine), None, "{fine}");
        }
        for (bad, why) in [
            (r#"{"alg":"none"}"#, "alg"),
            (r#"{"alg":"nOnE"}"#, "alg"),
            (r#"{"alg":""}"#, "alg"),
            (r#"{"alg":"HS256"}"#, "alg"),
            (r#"{"alg":"RS384"}"#, "alg"),
            (r#"{"alg":"rs256"}"#, "alg"),
            (r#"{"alg":["RS256"]}"#, "header"),
            (r#"{"typ":"JWT"}"#, "header"),
            (r#"{"alg":"RS256","alg":"none"}"#, "header"),
            (r#"{"alg":"RS256","kid":7}"#, "header"),
            (r#"["RS256","JWT",null]"#, "header"),
            (r#"{"alg":"RS256"} "#, "typ"),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, "typ"),
            (r#"{"alg":"RS256","typ":"JWE"}"#, "typ"),
            (r#"{"alg":"RS256","typ":""}"#, "typ"),
            (r#"{"alg":"RS256","cty":"JWT"}"#, "cty"),
            (r#"{"alg":"RS256","jwk":{}}"#, "header field"),
            (r#"{"alg":"RS256","jku":"https://evil.example"}"#, "header field"),
            (r#"{"alg":"RS256","x5u":"https://evil.example"}"#, "header field"),
            (r#"{"alg":"RS256","x5c":[]}"#, "header field"),
            (r#"{"alg":"RS256","crit":[]}"#, "header field"),
            (r#"{"alg":"RS256","b64":true}"#, "header field"),
            (r#"{"alg":"RS256","zip":"DEF"}"#, "header field"),
            (r#"{"alg":"RS256","enc":"A128GCM"}"#, "header field"),
        ] {
            let expected = if bad.ends_with(' ') { None } else { Some(Unfit::Form(why)) };
            assert_eq!(refusal(bad), expected, "{bad}");
        }
        for (token, why) in [
            ("", "parts"),
            ("a.b", "parts"),
            ("a.b.c.d", "parts"),
            ("a.b.c.d.e", "parts"),
            ("..", "header"),
            ("eyJhbGciOiJSUzI1NiJ9=.e30.AA", "header"),
            ("eyJhbGciOiJSUzI1NiJ9.e30.A", "signature"),
            ("eyJhbGciOiJSUzI1NiJ9.e30.AB", "signature"),
            ("eyJhbGciOiJSUzI1NiJ9.e30.A+", "signature"),
        ] {
            assert_eq!(Presented::parse(token, &["jwt"]).err(), Some(Unfit::Form(why)), "{token}");
        }
        let long = format!("eyJhbGciOiJSUzI1NiJ9.{}.AA", "A".repeat(LONGEST));
        assert_eq!(Presented::parse(&long, &["jwt"]).err(), Some(Unfit::Form("length")));
        let access = "eyJhbGciOiJSUzI1NiJ9.e30.AA";
        assert_eq!(Presented::parse(access, &["at+jwt"]).err(), Some(Unfit::Form("typ")), "no kind is not any kind");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,60}(\\.\\PC{0,60}){0,4}", header in "\\PC{0,80}") {
            for brings_key in [false, true] {
                let _ = Presented::read(&text, &["jwt"], brings_key);
                let _ = Presented::read(&format!("{}.e30.AA", encode(&header)), &["jwt"], brings_key);
            }
        }
    }
}
