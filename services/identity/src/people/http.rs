mod problems;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, patch, post, put},
};
use nsl_api::{
    Page,
    people::{
        AcceptInvite, CreateRole, CreatedInvite, DeleteMe, DeletedUser, FindMe, InviteInfo, InviteUser, ListInvites,
        ListMembers, ListOwnTenants, ListRoles, ListUsers, MemberStatus, NameInvite, NameMember, NameRole, NameTenant,
        NameUser, OpenTenant, OwnTenant, OwnTenants, PeopleClient, Profile, RenameTenant, RoleInfo, RoleList,
        SetMember, SetRole, UpdateMe, UserInfo,
    },
};
use nsl_core::TenantId;
use nsl_edge::{Caller, Class, Face, Limit, Path, Problem, Query, Rule, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

use self::problems::PROBLEMS;
use crate::{http::Paging, page::LONGEST_PAGE};

/// The public routes of users, tenants, members, roles and invites.
pub(crate) fn face(people: PeopleClient) -> Face {
    let router = Router::new()
        .route("/v1/users/me", get(me).patch(update_me))
        .route("/v1/users/me/delete", post(delete_me))
        .route("/v1/users", get(list_users))
        .route("/v1/users/invites", get(list_invites).post(invite))
        .route("/v1/users/invites/accept", post(accept))
        .route("/v1/users/invites/{id}", delete(withdraw))
        .route("/v1/users/{id}", get(find_user))
        .route("/v1/users/{id}/suspend", post(suspend))
        .route("/v1/users/{id}/resume", post(resume))
        .route("/v1/members", get(list_members))
        .route("/v1/members/{user}", put(set_member).delete(remove_member))
        .route("/v1/roles", get(list_roles).post(create_role))
        .route("/v1/roles/{name}", put(set_role).delete(delete_role))
        .route("/v1/tenants", get(list_tenants).post(open_tenant))
        .route("/v1/tenants/{tenant}", patch(rename).delete(delete_tenant))
        .route("/v1/tenants/{tenant}/restore", post(restore))
        .with_state(people);
    // Accepting shows a secret, and changing an address may show a password: guessing is held up as for sign-in.
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/users/invites/accept").class(Class::Auth).body_bytes(16 * 1024))
        .rule(Rule::at("/v1/users*").class(Class::Keys).body_bytes(16 * 1024))
        .rule(Rule::at("/v1/members*").class(Class::Keys).body_bytes(16 * 1024))
        .rule(Rule::at("/v1/roles*").class(Class::Keys).body_bytes(64 * 1024))
        .rule(Rule::at("/v1/tenants*").class(Class::Keys).body_bytes(16 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        me, update_me, delete_me, list_users, find_user, suspend, resume, list_invites, invite, accept, withdraw,
        list_members, set_member, remove_member, list_roles, create_role, set_role, delete_role, list_tenants,
        open_tenant, rename, delete_tenant, restore
    ),
    tags((name = "people", description = "Users, the tenants that they are members of, roles and invites."))
)]
struct Docs;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// 1 to 100; 50 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<LONGEST_PAGE>>,
    /// `next` of the page before.
    after: Option<String>,
    /// How the address begins.
    email: Option<String>,
    /// How the name begins.
    name: Option<String>,
    status: Option<MemberStatus>,
    /// One of the roles that the member has.
    role: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberRoles {
    /// In the place of those that the member has.
    roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolePermissions {
    /// In the place of those that the role has.
    permissions: Vec<String>,
}

/// Show your own account
///
/// For a person: with the tenants that you are a member of.
#[utoipa::path(get, path = "/v1/users/me", tag = "people", operation_id = "find_me",
    responses((status = 200, description = "The account", body = Profile)))]
async fn me(State(people): State<PeopleClient>, Caller(cx): Caller) -> Result<Json<Profile>, Problem> {
    Ok(Json(people.find_me(&cx, FindMe {}).await?))
}

/// Change your own account
///
/// A new email address needs a second factor shown in the last five minutes, or the password of an account without one.
#[utoipa::path(patch, path = "/v1/users/me", tag = "people", operation_id = "update_me", request_body = UpdateMe,
    responses((status = 200, description = "The account as it is now", body = Profile)))]
async fn update_me(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<UpdateMe>,
) -> Result<Json<Profile>, Problem> {
    Ok(Json(people.update_me(&cx, body).await?))
}

/// Delete your own account
///
/// Sessions and keys end at once, and what is stored of you goes in every tenant. Tenants that nobody else is in are
/// deleted after their grace. There is no way back.
#[utoipa::path(post, path = "/v1/users/me/delete", tag = "people", operation_id = "delete_me", request_body = DeleteMe,
    responses((status = 200, description = "It is gone", body = DeletedUser)))]
async fn delete_me(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<DeleteMe>,
) -> Result<Json<DeletedUser>, Problem> {
    Ok(Json(people.delete_me(&cx, body).await?))
}

/// List or search the members of the tenant
///
/// Oldest account first, with their email addresses; needs `identity:admin`.
#[utoipa::path(get, path = "/v1/users", tag = "people", operation_id = "list_users", params(Search),
    responses((status = 200, description = "A page of members", body = Page<UserInfo>)))]
async fn list_users(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Query(search): Query<Search>,
) -> Result<Json<Page<UserInfo>>, Problem> {
    let Search { limit, after, email, name, status, role } = search;
    let request = ListUsers { limit: Limit::or(limit, 50), after, email, name, status, role };
    Ok(Json(people.list_users(&cx, request).await?))
}

/// Show a member of the tenant
#[utoipa::path(get, path = "/v1/users/{id}", tag = "people", operation_id = "find_user",
    params(("id" = String, Path, description = "`usr_...`")),
    responses((status = 200, description = "The member", body = UserInfo)))]
async fn find_user(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(people.find_user(&cx, NameUser { id }).await?))
}

/// Keep a member out of the tenant
///
/// Their tokens for this tenant stop within a second; their keys and invites in it end for good.
#[utoipa::path(post, path = "/v1/users/{id}/suspend", tag = "people", operation_id = "suspend_user",
    params(("id" = String, Path, description = "`usr_...`")),
    responses((status = 200, description = "The member as it is now", body = UserInfo)))]
async fn suspend(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(people.suspend_user(&cx, NameUser { id }).await?))
}

/// Let a suspended member in again
#[utoipa::path(post, path = "/v1/users/{id}/resume", tag = "people", operation_id = "resume_user",
    params(("id" = String, Path, description = "`usr_...`")),
    responses((status = 200, description = "The member as it is now", body = UserInfo)))]
async fn resume(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(people.resume_user(&cx, NameUser { id }).await?))
}

/// List invites
///
/// Newest first, without their tokens.
#[utoipa::path(get, path = "/v1/users/invites", tag = "people", operation_id = "list_invites", params(Paging),
    responses((status = 200, description = "A page of invites", body = Page<InviteInfo>)))]
async fn list_invites(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<InviteInfo>>, Problem> {
    let request = ListInvites { limit: paging.limit(), after: paging.after };
    Ok(Json(people.list_invites(&cx, request).await?))
}

/// Invite a person
///
/// The reply shows the token this once: hand it to the person, who shows it when making an account, or accepts it
/// signed in. With an address, it is good for that person alone. Nobody invites to more than they may do.
#[utoipa::path(post, path = "/v1/users/invites", tag = "people", operation_id = "invite_user",
    request_body = InviteUser, responses((status = 201, description = "The invite with its token", body = CreatedInvite)))]
async fn invite(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<InviteUser>,
) -> Result<(StatusCode, Json<CreatedInvite>), Problem> {
    Ok((StatusCode::CREATED, Json(people.invite_user(&cx, body).await?)))
}

/// Accept an invite
#[utoipa::path(post, path = "/v1/users/invites/accept", tag = "people", operation_id = "accept_invite",
    request_body = AcceptInvite, responses((status = 200, description = "The tenant that you came into", body = OwnTenant)))]
async fn accept(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<AcceptInvite>,
) -> Result<Json<OwnTenant>, Problem> {
    Ok(Json(people.accept_invite(&cx, body).await?))
}

/// Take an invite back
#[utoipa::path(delete, path = "/v1/users/invites/{id}", tag = "people", operation_id = "withdraw_invite",
    params(("id" = String, Path, description = "`inv_...`")),
    responses((status = 200, description = "The invite as it is now", body = InviteInfo)))]
async fn withdraw(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<InviteInfo>, Problem> {
    Ok(Json(people.withdraw_invite(&cx, NameInvite { id }).await?))
}

/// List who is what in the tenant
///
/// Oldest account first, without email addresses.
#[utoipa::path(get, path = "/v1/members", tag = "people", operation_id = "list_members", params(Paging),
    responses((status = 200, description = "A page of members", body = Page<UserInfo>)))]
async fn list_members(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<UserInfo>>, Problem> {
    let request = ListMembers { limit: paging.limit(), after: paging.after };
    Ok(Json(people.list_members(&cx, request).await?))
}

/// Give a member other roles
///
/// Nobody gives or takes what they lack, and a tenant keeps an owner. Tokens of before stop within a second.
#[utoipa::path(put, path = "/v1/members/{user}", tag = "people", operation_id = "set_member",
    params(("user" = String, Path, description = "`usr_...`")), request_body = MemberRoles,
    responses((status = 200, description = "The member as it is now", body = UserInfo)))]
async fn set_member(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(user): Path<String>,
    Strict(body): Strict<MemberRoles>,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(people.set_member(&cx, SetMember { user, roles: body.roles }).await?))
}

/// Remove a member, or leave
#[utoipa::path(delete, path = "/v1/members/{user}", tag = "people", operation_id = "remove_member",
    params(("user" = String, Path, description = "`usr_...`; your own to leave")),
    responses((status = 200, description = "Who was a member", body = UserInfo)))]
async fn remove_member(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(user): Path<String>,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(people.remove_member(&cx, NameMember { user }).await?))
}

/// List roles
///
/// The built-in ones first, with what they allow.
#[utoipa::path(get, path = "/v1/roles", tag = "people", operation_id = "list_roles",
    responses((status = 200, description = "All roles", body = RoleList)))]
async fn list_roles(State(people): State<PeopleClient>, Caller(cx): Caller) -> Result<Json<RoleList>, Problem> {
    Ok(Json(people.list_roles(&cx, ListRoles {}).await?))
}

/// Make a role
#[utoipa::path(post, path = "/v1/roles", tag = "people", operation_id = "create_role", request_body = CreateRole,
    responses((status = 201, description = "The role", body = RoleInfo)))]
async fn create_role(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<CreateRole>,
) -> Result<(StatusCode, Json<RoleInfo>), Problem> {
    Ok((StatusCode::CREATED, Json(people.create_role(&cx, body).await?)))
}

/// Change what a role allows
#[utoipa::path(put, path = "/v1/roles/{name}", tag = "people", operation_id = "set_role",
    params(("name" = String, Path)), request_body = RolePermissions,
    responses((status = 200, description = "The role as it is now", body = RoleInfo)))]
async fn set_role(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
    Strict(body): Strict<RolePermissions>,
) -> Result<Json<RoleInfo>, Problem> {
    Ok(Json(people.set_role(&cx, SetRole { name, permissions: body.permissions }).await?))
}

/// Delete a role
///
/// Refused while somebody has it, or is invited to have it.
#[utoipa::path(delete, path = "/v1/roles/{name}", tag = "people", operation_id = "delete_role",
    params(("name" = String, Path)), responses((status = 200, description = "The role as it was", body = RoleInfo)))]
async fn delete_role(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
) -> Result<Json<RoleInfo>, Problem> {
    Ok(Json(people.delete_role(&cx, NameRole { name }).await?))
}

/// List your tenants
#[utoipa::path(get, path = "/v1/tenants", tag = "people", operation_id = "list_own_tenants",
    responses((status = 200, description = "The tenants that you are a member of", body = OwnTenants)))]
async fn list_tenants(State(people): State<PeopleClient>, Caller(cx): Caller) -> Result<Json<OwnTenants>, Problem> {
    Ok(Json(people.list_own_tenants(&cx, ListOwnTenants {}).await?))
}

/// Make a tenant
///
/// You are its owner. Get tokens for it by refreshing yours with its id.
#[utoipa::path(post, path = "/v1/tenants", tag = "people", operation_id = "open_tenant", request_body = OpenTenant,
    responses((status = 201, description = "The tenant", body = OwnTenant)))]
async fn open_tenant(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Strict(body): Strict<OpenTenant>,
) -> Result<(StatusCode, Json<OwnTenant>), Problem> {
    Ok((StatusCode::CREATED, Json(people.open_tenant(&cx, body).await?)))
}

/// Rename a tenant
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "people", operation_id = "rename_tenant",
    params(("tenant" = String, Path, description = "The tenant of your credential")), request_body = OpenTenant,
    responses((status = 200, description = "The tenant as it is now", body = OwnTenant)))]
async fn rename(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(tenant): Path<TenantId>,
    Strict(body): Strict<OpenTenant>,
) -> Result<Json<OwnTenant>, Problem> {
    Ok(Json(people.rename_tenant(&cx, RenameTenant { tenant, name: body.name }).await?))
}

/// Delete a tenant
///
/// Closed at once: tokens and keys stop. Its data is erased when the grace is over; until then an owner may restore it.
/// Needs an owner with a second factor shown in the last five minutes.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "people", operation_id = "delete_tenant",
    params(("tenant" = String, Path, description = "The tenant of your credential")),
    responses((status = 200, description = "The tenant, with the time at which it is erased", body = OwnTenant)))]
async fn delete_tenant(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(tenant): Path<TenantId>,
) -> Result<Json<OwnTenant>, Problem> {
    Ok(Json(people.delete_tenant(&cx, NameTenant { tenant }).await?))
}

/// Restore a tenant that is to be deleted
///
/// For its owners, with a second factor shown in the last five minutes.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restore", tag = "people", operation_id = "restore_tenant",
    params(("tenant" = String, Path)), responses((status = 200, description = "The tenant as it is now", body = OwnTenant)))]
async fn restore(
    State(people): State<PeopleClient>,
    Caller(cx): Caller,
    Path(tenant): Path<TenantId>,
) -> Result<Json<OwnTenant>, Problem> {
    Ok(Json(people.restore_tenant(&cx, NameTenant { tenant }).await?))
}
