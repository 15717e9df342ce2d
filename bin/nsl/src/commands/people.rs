//! Users, members and roles of the tenant, and the tenants of the caller.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Asking, Asks, Done, hidden, page};
use crate::{client::Client, exit::Failure, show};

pub(crate) type Users = Asking<User>;
pub(crate) type Members = Asking<Member>;
pub(crate) type Roles = Asking<Role>;
pub(crate) type Tenants = Asking<Tenant>;

const USERS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("EMAIL", "email"),
    ("NAME", "name"),
    ("ROLES", "roles"),
    ("ACCOUNT", "status"),
    ("HERE", "member"),
    ("SINCE", "since"),
];
const USER: [(&str, &str); 8] = [
    ("id", "id"),
    ("email", "email"),
    ("name", "name"),
    ("roles", "roles"),
    ("account", "status"),
    ("here", "member"),
    ("member since", "since"),
    ("made", "created_at"),
];

#[derive(Subcommand)]
pub(crate) enum User {
    /// List the users of the tenant, or search them by how their address or name begins
    List {
        #[arg(long, value_name = "PREFIX")]
        email: Option<String>,
        #[arg(long, value_name = "PREFIX")]
        name: Option<String>,
        /// Those who have this role
        #[arg(long)]
        role: Option<String>,
        /// active or suspended
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Show a user; yourself without an id
    Show { id: Option<String> },
    /// Make an invite; its token is shown this once, hand it to the person
    Invite {
        /// Who alone can accept it; whoever has the token when absent
        #[arg(long)]
        email: Option<String>,
        /// What the person will be
        #[arg(long = "role", required = true, value_delimiter = ',')]
        roles: Vec<String>,
    },
    /// List invites, newest first
    Invites {
        #[command(flatten)]
        page: page::Paging,
    },
    /// Take an invite back
    Withdraw { id: String },
    /// Accept an invite, whose token is asked for
    Accept {
        /// Read the token from standard input
        #[arg(long)]
        token_stdin: bool,
    },
    /// Keep a user out of the tenant; in effect within a second
    Suspend { id: String },
    /// Undo suspend
    Resume { id: String },
    /// Delete your own account, and what is stored of you; others are removed by `nsl members remove`
    Delete {
        /// Needed: it cannot be undone
        #[arg(long, required = true)]
        yes: bool,
        /// Read your password from standard input, where you have no second factor to show by `nsl mfa step-up`
        #[arg(long)]
        password_stdin: bool,
    },
}

fn users<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["v1", "users"], rest].concat()
}

fn tenants<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["v1", "tenants"], rest].concat()
}

fn user(item: &Value) -> String {
    show::pairs(&USER, item)
}

impl Asks for User {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::List { email, name, role, status, page } => {
                let ask = || {
                    let ask = client.ask(Method::GET, &users(&[]));
                    let ask = ask.query("email", email.as_ref()).query("name", name.as_ref());
                    ask.query("role", role.as_ref()).query("status", status.as_ref())
                };
                page.run(ask, &USERS).await
            }
            Self::Show { id: Some(id) } => Ok(Done::one(client.ask(Method::GET, &users(&[&id])).send().await?, user)),
            Self::Show { id: None } => {
                let reply = client.ask(Method::GET, &users(&["me"])).send().await?;
                Ok(Done::one(reply, |me| {
                    let tenants = me["tenants"].as_array().map(Vec::as_slice).unwrap_or_default();
                    format!("{}{}", user(me), show::table(&TENANTS, tenants))
                }))
            }
            Self::Invite { email, roles } => {
                let mut body = json!({ "roles": roles });
                if let Some(email) = email {
                    body["email"] = email.into();
                }
                let reply = client.ask(Method::POST, &users(&["invites"])).body(&body).send().await?;
                let fields =
                    [("token", "token"), ("id", "id"), ("email", "email"), ("roles", "roles"), ("ends", "expires_at")];
                let note = "The token is shown this once: hand it to the person.\n";
                Ok(Done::one(reply, |reply| format!("{}{note}", show::pairs(&fields, reply))))
            }
            Self::Invites { page } => {
                let columns = [
                    ("ID", "id"),
                    ("EMAIL", "email"),
                    ("ROLES", "roles"),
                    ("BY", "invited_by"),
                    ("ENDS", "expires_at"),
                    ("ENDED", "ended_at"),
                    ("ACCEPTED BY", "accepted_by"),
                ];
                page.run(|| client.ask(Method::GET, &users(&["invites"])), &columns).await
            }
            Self::Withdraw { id } => {
                let reply = client.ask(Method::DELETE, &users(&["invites", &id])).send().await?;
                Ok(Done::one(reply, |_| format!("withdrawn {}\n", show::clean(&id))))
            }
            Self::Accept { token_stdin } => {
                let token = match token_stdin {
                    true => hidden::from_stdin("the token")?,
                    false => hidden::ask("Token of the invite", "use --token-stdin")?,
                };
                let body = json!({ "token": token.trim() });
                let reply = client.ask(Method::POST, &users(&["invites", "accept"])).body(&body).send().await?;
                Ok(Done::one(reply, |reply| show::pairs(&TENANT, reply)))
            }
            Self::Suspend { id } => {
                Ok(Done::one(client.ask(Method::POST, &users(&[&id, "suspend"])).send().await?, user))
            }
            Self::Resume { id } => {
                Ok(Done::one(client.ask(Method::POST, &users(&[&id, "resume"])).send().await?, user))
            }
            Self::Delete { password_stdin, .. } => {
                let mut body = json!({});
                if password_stdin {
                    body["password"] = hidden::from_stdin("the password")?.as_str().into();
                }
                let reply = client.ask(Method::POST, &users(&["me", "delete"])).body(&body).send().await?;
                let fields = [("deleted", "id"), ("privacy request", "privacy_request")];
                Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
            }
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Member {
    /// List the members of the tenant and their roles
    List {
        #[command(flatten)]
        page: page::Paging,
    },
    /// Give a member these roles in place of those of before; in effect within a second
    Set {
        user: String,
        #[arg(long = "role", required = true, value_delimiter = ',')]
        roles: Vec<String>,
    },
    /// Remove a member from the tenant, or leave it yourself; in effect within a second
    Remove { user: String },
}

impl Asks for Member {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::List { page } => {
                let columns =
                    [("ID", "id"), ("NAME", "name"), ("ROLES", "roles"), ("HERE", "member"), ("SINCE", "since")];
                page.run(|| client.ask(Method::GET, &["v1", "members"]), &columns).await
            }
            Self::Set { user: id, roles } => {
                let body = json!({ "roles": roles });
                Ok(Done::one(client.ask(Method::PUT, &["v1", "members", &id]).body(&body).send().await?, user))
            }
            Self::Remove { user } => {
                let reply = client.ask(Method::DELETE, &["v1", "members", &user]).send().await?;
                Ok(Done::one(reply, |_| format!("removed {}\n", show::clean(&user))))
            }
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Role {
    /// List roles and what each allows
    List,
    /// Make a role
    Create(Granted),
    /// Give a role these permissions in place of those of before; in effect within a second
    Update(Granted),
    /// Delete a role that nobody has
    Delete { name: String },
}

#[derive(Args)]
pub(crate) struct Granted {
    name: String,
    /// service:verb; see nsl access permissions
    #[arg(long = "permission", required = true, value_delimiter = ',')]
    permissions: Vec<String>,
}

impl Asks for Role {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        let columns = [("NAME", "name"), ("BUILT IN", "built_in"), ("PERMISSIONS", "permissions")];
        let fields = [("name", "name"), ("permissions", "permissions")];
        let reply = match self {
            Self::List => {
                let reply = client.ask(Method::GET, &["v1", "roles"]).send().await?;
                return Ok(Done::one(reply, |reply| {
                    show::table(&columns, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
                }));
            }
            Self::Create(Granted { name, permissions }) => {
                let body = json!({ "name": name, "permissions": permissions });
                client.ask(Method::POST, &["v1", "roles"]).body(&body).send().await?
            }
            Self::Update(Granted { name, permissions }) => {
                let body = json!({ "permissions": permissions });
                client.ask(Method::PUT, &["v1", "roles", &name]).body(&body).send().await?
            }
            Self::Delete { name } => {
                let reply = client.ask(Method::DELETE, &["v1", "roles", &name]).send().await?;
                return Ok(Done::one(reply, |_| format!("deleted {}\n", show::clean(&name))));
            }
        };
        Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
    }
}

const TENANTS: [(&str, &str); 5] =
    [("TENANT", "tenant"), ("NAME", "name"), ("STATUS", "status"), ("ROLES", "roles"), ("SINCE", "since")];
const TENANT: [(&str, &str); 5] =
    [("tenant", "tenant"), ("name", "name"), ("status", "status"), ("erased at", "erase_at"), ("roles", "roles")];

#[derive(Subcommand)]
pub(crate) enum Tenant {
    /// List the tenants that you are a member of
    List,
    /// Open a tenant of your own
    Open { name: String },
    /// Call a tenant otherwise
    Rename { tenant: String, name: String },
    /// Close a tenant; it is erased some days later, until when `restore` takes it back
    Delete {
        tenant: String,
        /// Needed: everything in it stops at once
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Take back that a tenant is to be deleted
    Restore { tenant: String },
}

impl Asks for Tenant {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        let ask = match self {
            Self::List => {
                let reply = client.ask(Method::GET, &tenants(&[])).send().await?;
                return Ok(Done::one(reply, |reply| {
                    show::table(&TENANTS, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
                }));
            }
            Self::Open { name } => client.ask(Method::POST, &tenants(&[])).body(&json!({ "name": name })),
            Self::Rename { tenant, name } => {
                client.ask(Method::PATCH, &tenants(&[&tenant])).body(&json!({ "name": name }))
            }
            Self::Delete { tenant, .. } => client.ask(Method::DELETE, &tenants(&[&tenant])),
            Self::Restore { tenant } => client.ask(Method::POST, &tenants(&[&tenant, "restore"])),
        };
        Ok(Done::one(ask.send().await?, |reply| show::pairs(&TENANT, reply)))
    }
}
