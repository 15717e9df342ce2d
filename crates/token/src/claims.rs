use std::sync::Arc;

use nsl_core::{Subject, TenantId, Timestamp};
use serde_json::{Map, Value};

use crate::{access::seconds, jws::Unfit};

/// Clocks may differ by so much.
const LEEWAY_S: i64 = 30;
const MOST_SCOPES: usize = 256;

/// What a token must say to be taken.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub tenant_claim: &'a str,
    pub scope_claim: &'a str,
    /// Whether the platform issued it: only then does it tell of sessions and second factors, and it must
    /// say which revocations were known when it was made.
    pub ours: bool,
}

/// What a token says, once all of it was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub tenant: TenantId,
    pub subject: Subject,
    /// Its `jti`, or `token` where the issuer gave none.
    pub id: Arc<str>,
    pub scopes: Arc<[String]>,
    /// The newest revocation that its issuer knew of: later ones that fit refuse it.
    pub revision: i64,
    /// The last moment at which it is taken.
    pub expires_at: Timestamp,
    pub session: Option<Arc<str>>,
    pub second_factor_at: Option<Timestamp>,
    pub actor: Option<Subject>,
    /// Whether it stands for all that the person of its session may do.
    pub whole: bool,
    /// The thumbprint of the key that its holder must prove to have.
    pub bound_to: Option<Arc<str>>,
}

type Claims = Map<String, Value>;

impl Expected<'_> {
    /// For the claims of a token whose signature is right.
    pub fn read(&self, claims: &Claims, now: Timestamp) -> Result<Checked, Unfit> {
        let now_s = seconds(now);
        let expires = moment(claims, "exp")?.ok_or(Unfit::Claim("exp"))?;
        if expires.saturating_add(LEEWAY_S) <= now_s {
            return Err(Unfit::Expired);
        }
        for early in ["nbf", "iat"] {
            if moment(claims, early)?.is_some_and(|from| from > now_s.saturating_add(LEEWAY_S)) {
                return Err(Unfit::Claim(early));
            }
        }
        if text(claims, "iss").ok_or(Unfit::Claim("iss"))? != self.issuer {
            return Err(Unfit::Claim("iss"));
        }
        let meant_for_us = match claims.get("aud") {
            Some(Value::String(audience)) => audience == self.audience,
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == self.audience),
            _ => false,
        };
        if !meant_for_us {
            return Err(Unfit::Claim("aud"));
        }
        let subject = text(claims, "sub").and_then(|id| Subject::parse(id).ok()).ok_or(Unfit::Claim("sub"))?;
        let tenant = text(claims, self.tenant_claim).and_then(|id| TenantId::parse(id).ok());
        let tenant = tenant.ok_or(Unfit::Claim("tenant"))?;
        // What has the name of a part of the platform can't be had from outside.
        if subject.is_reserved() {
            return Err(Unfit::Claim("sub"));
        }
        if tenant.is_reserved() {
            return Err(Unfit::Claim("tenant"));
        }
        let id = name(claims, "jti")?;
        for (needed, is_there) in [("jti", id.is_some()), ("iat", claims.contains_key("iat"))] {
            if self.ours && !is_there {
                return Err(Unfit::Claim(needed));
            }
        }
        Ok(Checked {
            tenant,
            subject,
            id: id.unwrap_or_else(|| "token".into()),
            scopes: scopes(claims, self.scope_claim)?,
            revision: self.revision(claims)?,
            expires_at: Timestamp(expires.saturating_add(LEEWAY_S).saturating_mul(1_000_000)),
            session: if self.ours { name(claims, "sid")? } else { None },
            second_factor_at: if self.ours { moment(claims, "mfa_time")?.map(from_seconds) } else { None },
            actor: actor(claims)?,
            whole: self.ours && claims.get("whole") == Some(&Value::Bool(true)),
            bound_to: confirmation(claims)?,
        })
    }

    fn revision(&self, claims: &Claims) -> Result<i64, Unfit> {
        if !self.ours {
            return Ok(0);
        }
        claims.get("rev").and_then(Value::as_i64).filter(|&rev| rev >= 0).ok_or(Unfit::Claim("rev"))
    }
}

fn from_seconds(at: i64) -> Timestamp {
    Timestamp(at.saturating_mul(1_000_000))
}

pub(crate) fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

pub(crate) fn moment(claims: &Claims, name: &'static str) -> Result<Option<i64>, Unfit> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| value.as_f64().filter(|v| v.abs() < 1e15).map(|v| v.floor() as i64));
    whole.filter(|&at| at >= 0).map(Some).ok_or(Unfit::Claim(name))
}

// A visible word of at most 128 characters.
fn name(claims: &Claims, claim: &'static str) -> Result<Option<Arc<str>>, Unfit> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(id)) if !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(id.as_str().into()))
        }
        Some(_) => Err(Unfit::Claim(claim)),
    }
}

// A string with spaces between (RFC 8693) or a list of strings.
fn scopes(claims: &Claims, name: &str) -> Result<Arc<[String]>, Unfit> {
    let words: Vec<&str> = match claims.get(name) {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(list)) => {
            list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Unfit::Claim("scope"))?
        }
        Some(_) => return Err(Unfit::Claim("scope")),
    };
    if words.len() > MOST_SCOPES {
        return Err(Unfit::Claim("scope"));
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

fn actor(claims: &Claims) -> Result<Option<Subject>, Unfit> {
    let Some(act) = claims.get("act") else { return Ok(None) };
    let subject = act.get("sub").and_then(Value::as_str).and_then(|id| Subject::parse(id).ok());
    subject.filter(|subject| !subject.is_reserved()).map(Some).ok_or(Unfit::Claim("act"))
}

// A binding that can't be checked here must not be passed over: then the token would be anyone's.
fn confirmation(claims: &Claims) -> Result<Option<Arc<str>>, Unfit> {
    let Some(cnf) = claims.get("cnf") else { return Ok(None) };
    let fields = cnf.as_object().filter(|fields| fields.len() == 1);
    let thumbprint = fields.and_then(|fields| fields.get("jkt")).and_then(Value::as_str);
    thumbprint.filter(|text| text.len() == 43).map(|text| Some(text.into())).ok_or(Unfit::Claim("cnf"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{Access, Actor, Confirmation};

    const OURS: Expected<'static> =
        Expected { issuer: "i", audience: "a", tenant_claim: "tenant", scope_claim: "scope", ours: true };

    fn claims(value: Value) -> Claims {
        value.as_object().expect("made as one").clone()
    }

    #[test]
    fn what_the_issuer_writes_is_what_is_read() {
        let at = Timestamp(1_000_500_000);
        let thumbprint = "0123456789012345678901234567890123456789012";
        let subject = Subject::parse("usr_1").unwrap();
        let mut access =
            Access::new("i", "a", subject.clone(), TenantId::parse("ten_1").unwrap(), at, Duration::from_secs(900));
        access.scope = "storage:read storage:write".into();
        access.rev = 7;
        access.sid = Some("ses_1".into());
        access.mfa_time = Some(990);
        access.act = Some(Actor { sub: Subject::parse("bot").unwrap(), act: None });
        access.cnf = Some(Confirmation { jkt: thumbprint.into() });
        let written = claims(serde_json::to_value(&access).unwrap());
        let read = OURS.read(&written, at).unwrap();
        assert_eq!((&read.subject, read.id.as_ref()), (&subject, access.jti.as_str()));
        assert_eq!((read.revision, read.expires_at), (7, Timestamp(1_930_000_000)));
        assert_eq!((read.session.as_deref(), read.second_factor_at), (Some("ses_1"), Some(Timestamp(990_000_000))));
        assert_eq!(
            (read.actor.as_ref().map(Subject::as_str), read.bound_to.as_deref()),
            (Some("bot"), Some(thumbprint))
        );
        assert_eq!(read.scopes.len(), 2);

        // An issuer from outside can't tell of our sessions and factors.
        let theirs = Expected { ours: false, ..OURS }.read(&written, at).unwrap();
        assert_eq!((theirs.session, theirs.second_factor_at), (None, None));
        assert_eq!((theirs.actor, theirs.bound_to), (read.actor, read.bound_to));
    }

    #[test]
    fn each_claim_has_one_form() {
        let good = json!({
            "iss": "i", "aud": "a", "sub": "alice", "tenant": "ten_1", "exp": 1000, "iat": 100, "jti": "j", "rev": 0,
        });
        let now = Timestamp(500_000_000);
        assert!(OURS.read(&claims(good.clone()), now).is_ok());
        for (name, value) in [
            ("exp", json!("1000")),
            ("exp", json!(-1)),
            ("exp", Value::Null),
            ("nbf", json!(531)),
            ("iat", json!(531)),
            ("iat", Value::Null),
            ("rev", json!(-1)),
            ("rev", json!(1.5)),
            ("rev", json!("0")),
            ("rev", Value::Null),
            ("iss", json!("I")),
            ("iss", json!(["i"])),
            ("aud", json!("b")),
            ("aud", json!([])),
            ("aud", json!({"a": 1})),
            ("sub", json!("system")),
            ("sub", json!("a b")),
            ("sub", json!("")),
            ("tenant", json!("platform")),
            ("tenant", json!(["ten_1"])),
            ("jti", json!("")),
            ("jti", json!("a b")),
            ("jti", json!(7)),
            ("sid", json!("a\nb")),
            ("scope", json!({"*": true})),
            ("scope", json!([7])),
            ("mfa_time", json!("now")),
            ("act", json!("bot")),
            ("act", json!({"sub": "system"})),
            ("cnf", json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})),
            ("cnf", json!({"jkt": "short"})),
            ("cnf", json!({})),
            ("cnf", json!("jkt")),
        ] {
            let mut bad = claims(good.clone());
            bad.insert(name.into(), value.clone());
            assert!(matches!(OURS.read(&bad, now), Err(Unfit::Claim(_))), "{name}: {value}");
        }
        let ended = OURS.read(&claims(good), Timestamp(1_030_000_000));
        assert_eq!(ended, Err(Unfit::Expired));
    }

    proptest! {
        #[test]
        fn no_claims_break_the_reader(
            exp in any::<f64>(),
            name in "exp|nbf|iat|rev|iss|aud|sub|tenant|scope|jti|sid|mfa_time|act|cnf",
            word: String,
            ours: bool,
        ) {
            let expected =
                Expected { issuer: &word, audience: &word, tenant_claim: "tenant", scope_claim: "scope", ours };
            let mut said = json!({
                "exp": exp, "iss": word, "aud": word, "sub": "a", "tenant": "t", "scope": word, "jti": "j", "rev": 1,
            });
            said[name] = Value::from(word.clone());
            for now in [0, i64::MIN, i64::MAX] {
                let _ = expected.read(&claims(said.clone()), Timestamp(now));
            }
        }
    }
}
