import type Provider from 'oidc-provider'

export type AccessToken = InstanceType<Provider['AccessToken']>
export type ClientCredentials = InstanceType<Provider['ClientCredentials']>
export type Grant = InstanceType<Provider['Grant']>
export type RefreshToken = InstanceType<Provider['RefreshToken']>
