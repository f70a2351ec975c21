/** The API that tokens are for: Keycloak's own user info, which takes a token only while its session lives. */

/** @throws Error Keycloak says nothing about the token: it is away, or begins, or fails */
export async function accepts(issuer: string, accessToken: string): Promise<boolean> {
  const answer = await fetch(`${issuer}/protocol/openid-connect/userinfo`, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  await answer.arrayBuffer()
  if (answer.status === 200) return true
  if (answer.status === 401 || answer.status === 403) return false
  throw new Error(`Keycloak's user info answered ${answer.status}`)
}
