/** The least that a refresh can be: a fresh connection, one form, one JSON answer; nothing is checked and nothing kept. */
import { request } from 'node:http'
import type { Exchange, ExchangeSetup } from '../refresh-rounds.ts'

export function prepareBareExchange({ endpoint, clientId, clientSecret }: ExchangeSetup): Exchange {
  return (refreshToken) =>
    new Promise((resolve, reject) => {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        client_id: clientId,
        client_secret: clientSecret,
      }).toString()
      const headers = {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
        'content-length': Buffer.byteLength(form),
      }
      const sent = request(endpoint, { method: 'POST', agent: false, headers }, (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (body += part))
        response.on('end', () => {
          const granted = JSON.parse(body) as { readonly access_token?: string }
          if (granted.access_token === undefined) reject(new Error('the token endpoint granted nothing'))
          else resolve()
        })
      })
      sent.on('error', reject)
      sent.end(form)
    })
}
