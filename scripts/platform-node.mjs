// First line of every script: says what is wrong when the Node that the clone brings is missing.
// Old syntax on purpose: it must run on the Node that the machine has, however old.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    'tokenkeep: this is Node ' +
      process.versions.node +
      ', and developing Tokenkeep needs Node 24, which `npm ci` brings for ' +
      'linux-x64, linux-arm64, darwin-arm64 and win32-x64.\n' +
      'Here (' +
      process.platform +
      '-' +
      process.arch +
      ') it is missing. Run `npm ci` again without --omit=optional, or put a Node 24 first on your PATH.',
  )
  process.exit(1)
}
