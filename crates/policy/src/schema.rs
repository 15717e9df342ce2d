use cedar_policy::ValidationMode;

/// What no policy can give: only roles and scopes do.
pub fn grantable(permission: &str) -> bool {
    let reserved = ["identity:admin", "identity:owner", "platform:", "system:"];
    !reserved.iter().any(|reserved| permission.starts_with(reserved))
        && !permission.ends_with(":*")
        && permission != "*"
}

/// What policies may speak of: the permissions of the program, and the attributes of callers, things and circumstances.
pub struct Schema {
    validator: cedar_policy::Validator,
    permissions: Vec<&'static str>,
}

impl Schema {
    /// The permissions are those that the services of the program ask for.
    pub fn new(permissions: &[&'static str]) -> Result<Self, String> {
        let mut permissions = permissions.to_vec();
        permissions.sort_unstable();
        permissions.dedup();
        let text = Self::text(&permissions);
        let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&text).map_err(|error| error.to_string())?;
        Ok(Self { validator: cedar_policy::Validator::new(schema), permissions })
    }

    /// The schema in the language's own form, as tools of authors read it.
    pub fn text(permissions: &[&str]) -> String {
        let actions: Vec<_> = permissions.iter().map(|permission| format!("\"{permission}\"")).collect();
        format!("{ATTRIBUTES}action {}\n  {APPLIES}\n", actions.join(", "))
    }

    pub fn permissions(&self) -> &[&'static str] {
        &self.permissions
    }

    pub(crate) fn validate(&self, policies: &cedar_policy::PolicySet) -> cedar_policy::ValidationResult {
        self.validator.validate(policies, ValidationMode::Strict)
    }
}

const ATTRIBUTES: &str = r#"// Who calls.
entity Subject = {
  // "person", "client" (who acts for another), "api_key", "token" (also a client's own) or "certificate".
  "kind": String,
  // Which credential was shown: "key_...", or the id of a token.
  "credential": String,
  // What roles or scopes allow: "storage:read", "storage:*" or "*".
  "scopes": Set<String>,
  // Who really acts where the subject only lent its name.
  "actor"?: Subject,
};

// What the permission is asked for, where that is known when it is asked.
entity Resource = {
  // "item", "transaction", "account", "contract", "budget", "sponsor", "key", "policy", "audit", or "" where nothing is
  // known.
  "kind": String,
  "id": String,
  "owner"?: Subject,
} tags String;

type Circumstances = {
  "now": datetime,
  // 0 to 23, in UTC.
  "hour": Long,
  // 1 for Monday to 7 for Sunday, in UTC.
  "weekday": Long,
  "ip"?: ipaddr,
  // In 10^-8 coins: 150000000 is 1.5 GAS on both chains.
  "amount"?: Long,
  // "neo-n3" or "neo-x".
  "chain"?: String,
  "contract"?: String,
  "method"?: String,
  // Absent where no second factor was shown.
  "second_factor_age_s"?: Long,
};

"#;

const APPLIES: &str = "appliesTo { principal: [Subject], resource: [Resource], context: Circumstances };";
