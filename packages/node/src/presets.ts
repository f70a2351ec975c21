/**
 * What is known about providers, as data: each fact with how it is known and where from.
 *
 * A preset only fills in what a user leaves out. Nothing in the code branches on a preset's name; a provider that needs
 * more than its facts here needs better facts. What is not known is said to be unknown and treated with the most care.
 */
import { intuit, square, xero } from './presets/accounting.ts'
import { discord, slack, zoom } from './presets/chat.ts'
import { bitbucket, githubApp, gitlab } from './presets/code-hosts.ts'
import { hubspot, salesforce, zoho } from './presets/crm.ts'
import { box, docusign } from './presets/files.ts'
import { google } from './presets/google.ts'
import { auth0, cognito, okta } from './presets/identity-services.ts'
import { jobrad, keycloak } from './presets/keycloak.ts'
import { spotify, twitch, x } from './presets/media.ts'
import { entra } from './presets/microsoft.ts'
import { openai } from './presets/openai.ts'
import type { Preset } from './presets/preset.ts'
import {
  authentik,
  duende,
  nodeOidcProvider,
  oryHydra,
  workersOauthProvider,
  zitadel,
} from './presets/server-products.ts'
import { atlassian, calendly, canva, figma, linear, notion, zendesk } from './presets/work.ts'

export type { Evidence, Fact, FactName, Preset } from './presets/preset.ts'

/** The presets by the name that users give, in the order of these names. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  atlassian,
  auth0,
  authentik,
  bitbucket,
  box,
  calendly,
  canva,
  cognito,
  discord,
  docusign,
  duende,
  entra,
  figma,
  'github-app': githubApp,
  gitlab,
  google,
  hubspot,
  intuit,
  jobrad,
  keycloak,
  linear,
  'node-oidc-provider': nodeOidcProvider,
  notion,
  okta,
  openai,
  'ory-hydra': oryHydra,
  salesforce,
  slack,
  spotify,
  square,
  twitch,
  'workers-oauth-provider': workersOauthProvider,
  x,
  xero,
  zendesk,
  zitadel,
  zoho,
  zoom,
}
