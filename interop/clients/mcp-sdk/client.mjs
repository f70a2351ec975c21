import { refreshAuthorization } from '@modelcontextprotocol/sdk/client/auth.js'
import { live } from '../login-file.mjs'

const { ISSUER, TOKEN_URL, CLIENT_ID, CLIENT_SECRET } = process.env
// Said and not discovered: the SDK insists on an authorization endpoint, which the drop-in does not have.
const metadata = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/protocol/openid-connect/auth`,
  token_endpoint: TOKEN_URL,
  response_types_supported: ['code'],
}
const clientInformation = { client_id: CLIENT_ID, client_secret: CLIENT_SECRET }
await live((refreshToken) => refreshAuthorization(ISSUER, { metadata, clientInformation, refreshToken }))
