/** The routes for providers, as the OpenAPI document has them: what is sent and answered there others have defined. */
import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'

const id = z.string().meta({ description: 'The id of the provider that sends' })
const OAuthError = z.object({ error: z.string(), error_description: z.string() }).meta({ id: 'LogoutRefused' })
const EventError = z.object({ err: z.string(), description: z.string() }).meta({ id: 'EventRefused' })

const refusals = (schema: z.ZodType) =>
  ({
    400: { description: 'Refused: sent again, it is refused again', content: { 'application/json': { schema } } },
    429: { description: 'Too many wrong ones from this address', content: { 'application/json': { schema } } },
    503: { description: 'Not now: to be sent again', content: { 'application/json': { schema } } },
  }) as const

export const RECEIVER_PATHS: ZodOpenApiPathsObject = {
  '/providers/{id}/backchannel-logout': {
    post: {
      operationId: 'receiveLogoutToken',
      summary: 'For the provider: a session has ended (OpenID Connect Back-Channel Logout 1.0 section 2.5)',
      description: 'Needs no API key: the token is signed by the provider.',
      security: [],
      requestParams: { path: z.object({ id }) },
      requestBody: {
        required: true,
        content: { 'application/x-www-form-urlencoded': { schema: z.object({ logout_token: z.string() }) } },
      },
      responses: { 200: { description: 'Taken, now or before' }, ...refusals(OAuthError) },
    },
  },
  '/providers/{id}/events': {
    post: {
      operationId: 'receiveSecurityEvent',
      summary: 'For the provider: a security event (RFC 8935 section 2)',
      description: 'Needs no API key: the token is signed by the provider.',
      security: [],
      requestParams: { path: z.object({ id }) },
      requestBody: { required: true, content: { 'application/secevent+jwt': { schema: z.string() } } },
      responses: { 202: { description: 'Taken, now or before' }, ...refusals(EventError) },
    },
  },
}
