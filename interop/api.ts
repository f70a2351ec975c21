/** The API that tokens are for: Keycloak's own user info, which takes a token only while its session lives. */
export async function accepts(issuer: string, accessToken: string): Promise<boolean> {
  const answer = await fetch(`${issuer}/protocol/openid-connect/userinfo`, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  await answer.arrayBuffer()
  return answer.status === 200
}
