//! People: users, the tenants that they are members of, roles and invites.

use nsl_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Page, Revealed};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    /// Kept out by an operator of the platform.
    Suspended,
    /// Nothing is left but the id.
    Erased,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    Active,
    /// Kept out of this tenant.
    Suspended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    Active,
    /// Closed, and erased at `erase_at`; its owners may still take that back.
    Deleting,
    Erased,
}

/// A user as themselves see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// `usr_...`
    pub id: String,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    pub status: UserStatus,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Oldest membership first.
    pub tenants: Vec<OwnTenant>,
}

/// A tenant that the caller is a member of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OwnTenant {
    #[schema(value_type = String)]
    pub tenant: TenantId,
    pub name: String,
    pub status: TenantStatus,
    /// When it is erased, where it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub erase_at: Option<Timestamp>,
    pub roles: Vec<String>,
    pub member: MemberStatus,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FindMe {}

/// What is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct UpdateMe {
    /// 1 to 100 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// Needs a second factor shown in the last five minutes, or the password where the account has no second factor.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Revealed>,
}

/// The account goes, and with it what is stored of its person in every tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DeleteMe {
    /// Needed where the account has a password and no second factor was shown in the last five minutes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Revealed>,
}

/// A member of the tenant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserInfo {
    /// `usr_...`
    pub id: String,
    /// Seen only by those who hold `identity:admin`, and by the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    /// Of the account, on the whole platform.
    pub status: UserStatus,
    pub roles: Vec<String>,
    /// Of the membership.
    pub member: MemberStatus,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Members of the tenant, oldest account first. Prefixes are compared in lower case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListUsers {
    pub limit: u32,
    pub after: Option<String>,
    /// How the address begins.
    #[serde(default)]
    pub email: Option<String>,
    /// How the name begins.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub status: Option<MemberStatus>,
    #[serde(default)]
    pub role: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameUser {
    pub id: String,
}

/// A user who was deleted: what is stored of the person elsewhere is being erased under this request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeletedUser {
    pub id: String,
    pub status: UserStatus,
    /// `prv_...`
    pub privacy_request: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InviteUser {
    /// Who alone can accept it; whoever has the token when absent.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// What the person will be; nothing that the caller lacks.
    pub roles: Vec<String>,
}

/// An invite as it may be shown: all but the token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InviteInfo {
    /// `inv_...`
    pub id: String,
    #[serde(default)]
    pub email: Option<String>,
    pub roles: Vec<String>,
    pub invited_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Accepted, or withdrawn where nobody accepted it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub accepted_by: Option<String>,
}

/// A new invite; `token` is shown this once and stored nowhere: hand it to the person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedInvite {
    /// `nsi_...`
    #[schema(value_type = String)]
    pub token: Revealed,
    #[serde(flatten)]
    pub invite: InviteInfo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListInvites {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameInvite {
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcceptInvite {
    #[schema(value_type = String)]
    pub token: Revealed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListMembers {
    pub limit: u32,
    pub after: Option<String>,
}

/// Puts these roles in the place of those that the member has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetMember {
    pub user: String,
    pub roles: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameMember {
    pub user: String,
}

/// A role: a set of permissions with a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoleInfo {
    pub name: String,
    pub permissions: Vec<String>,
    /// Of every tenant; can't be changed.
    pub built_in: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoleList {
    pub items: Vec<RoleInfo>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListRoles {}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreateRole {
    /// 1 to 40 lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// `service:verb`, each one that some service asks for and the caller holds.
    pub permissions: Vec<String>,
}

/// Puts these permissions in the place of those that the role has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetRole {
    pub name: String,
    pub permissions: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameRole {
    pub name: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListOwnTenants {}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OwnTenants {
    pub items: Vec<OwnTenant>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenTenant {
    /// 1 to 100 characters.
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenameTenant {
    pub tenant: TenantId,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameTenant {
    pub tenant: TenantId,
}

nsl_rpc::service! {
    /// Keeps users, and who is a member of which tenant as what.
    People, PeopleClient, "identity" {
        /// For a person.
        read fn find_me(FindMe) -> Profile;
        /// For a session; a new address needs a fresh proof.
        fn update_me(UpdateMe) -> Profile;
        /// For a session with a fresh proof.
        fn delete_me(DeleteMe) -> DeletedUser;
        /// Needs `identity:admin`.
        read fn list_users(ListUsers) -> Page<UserInfo>;
        /// Needs `identity:admin`; a member of the tenant alone.
        read fn find_user(NameUser) -> UserInfo;
        /// Needs `identity:admin`; for the platform itself in all tenants.
        fn suspend_user(NameUser) -> UserInfo;
        /// Undoes `suspend_user`.
        fn resume_user(NameUser) -> UserInfo;
        /// For operators; refused to anything but the platform itself.
        fn delete_user(NameUser) -> DeletedUser;
        /// Needs `identity:admin`; grants nothing that the caller lacks.
        fn invite_user(InviteUser) -> CreatedInvite;
        /// Needs `identity:admin`; newest first.
        read fn list_invites(ListInvites) -> Page<InviteInfo>;
        /// Needs `identity:admin`.
        fn withdraw_invite(NameInvite) -> InviteInfo;
        /// For a session; good once.
        fn accept_invite(AcceptInvite) -> OwnTenant;
        /// Needs `identity:read`; addresses are left out.
        read fn list_members(ListMembers) -> Page<UserInfo>;
        /// Needs `identity:admin`; of nobody who holds what the caller lacks.
        fn set_member(SetMember) -> UserInfo;
        /// Needs `identity:admin`, or to leave nothing.
        fn remove_member(NameMember) -> UserInfo;
        /// Needs `identity:read`.
        read fn list_roles(ListRoles) -> RoleList;
        /// Needs `identity:admin`.
        fn create_role(CreateRole) -> RoleInfo;
        /// Needs `identity:admin`.
        fn set_role(SetRole) -> RoleInfo;
        /// Needs `identity:admin`; refused while somebody has it.
        fn delete_role(NameRole) -> RoleInfo;
        /// For a person.
        read fn list_own_tenants(ListOwnTenants) -> OwnTenants;
        /// For a session.
        fn open_tenant(OpenTenant) -> OwnTenant;
        /// Needs `identity:admin`, in that tenant.
        fn rename_tenant(RenameTenant) -> OwnTenant;
        /// Needs `identity:owner`, in that tenant, and a fresh second factor.
        fn delete_tenant(NameTenant) -> OwnTenant;
        /// For an owner of a tenant that is to be deleted, with a fresh second factor.
        fn restore_tenant(NameTenant) -> OwnTenant;
    }
}
