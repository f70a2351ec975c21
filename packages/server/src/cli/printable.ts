/**
 * Text from providers, users and files, made harmless for a terminal.
 *
 * Control characters could move the cursor, change the title or answer for the user; invisible and bidirectional ones
 * could show another text than the one that is there. Both are written as `\u{...}`.
 */
export const printable = (text: string): string =>
  text.replace(/[\p{C}\u2028\u2029]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

/** One JSON value on one line, with the same characters escaped in JSON's own way, which `JSON.stringify` does not do. */
export const jsonLine = (value: unknown): string =>
  JSON.stringify(value).replace(/[\p{C}\u2028\u2029]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  )

/** A word of a command line that people copy: quoted where a shell would take it for something else. */
export const shellWord = (text: string): string =>
  /^[\w./@:+-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
