// Where the drivers of libraries without a store keep logins, as a careful user would: a JSON file for each login, which
// all processes share and read again before each call, written beside and renamed so that nobody ever reads half of one.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

let folder = ''
let written = 0

/** @param {string} place the folder that all processes share */
export function keepLoginsIn(place) {
  folder = place
}

/** @returns {string} */
export const loginFile = (id) => join(folder, `${id}.json`)

/** @returns {{ access_token: string, refresh_token: string, expires_at: number }} */
export const readLogin = (id) => JSON.parse(readFileSync(loginFile(id), 'utf8'))

// Written before anything else happens, so that no other call of this process finds the old one.
export function writeLogin(id, login) {
  written += 1
  const beside = `${loginFile(id)}.${process.pid}.${written}`
  writeFileSync(beside, JSON.stringify(login))
  renameSync(beside, loginFile(id))
}

/** Keeps a login as somebody has just signed in: a driver's `seed`. */
export async function seed({ id, accessToken, refreshToken, expiresAt }) {
  writeLogin(id, { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt })
}

/** Whether it has so much of its life left, milliseconds. */
export const lives = (login, marginMs = 0) => Date.now() + marginMs < login.expires_at

/** What is stored after an answer of the token endpoint. */
export function loginFrom(answer, before) {
  return {
    access_token: answer.access_token,
    refresh_token: answer.refresh_token ?? before.refresh_token,
    expires_at: Date.now() + Number(answer.expires_in) * 1000,
  }
}
