import * as client from 'openid-client'
import { live } from '../login-file.mjs'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, {
  execute: [client.allowInsecureRequests],
})
await live((refreshToken) => client.refreshTokenGrant(config, refreshToken))
