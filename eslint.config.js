import eslint from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import typescript from 'typescript-eslint'

// Form belongs to prettier, imports between packages to checks/import-direction.test.ts. Here is what needs the types.
export default defineConfig(
  globalIgnores(['**/dist/', 'packages/server/page/', '**/node_modules/', '.tokenkeep/']),
  // Nobody switches a rule off in a file: it is switched off here, with a reason, or obeyed.
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [typescript.configs.strictTypeChecked],
    languageOptions: {
      // Not the project service: it would take each package's own settings, by which our packages are not built yet.
      parserOptions: {
        project: ['./tsconfig.check.json', './packages/dashboard/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/ban-ts-comment': [
        'error',
        { 'ts-ignore': true, 'ts-expect-error': true, 'ts-nocheck': true, 'ts-check': true },
      ],
      '@typescript-eslint/consistent-type-exports': 'error',
      // `typeof import(...)` is how a file that is loaded late is named without loading it.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      // A member is left out of a copy by naming it; an underscore says that a name is only there for its place.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { ignoreRestSiblings: true, argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/strict-boolean-expressions': [
        'error',
        // Absent and 0 are different cases here (`expires_in: 0`), so a number is compared and never just tested.
        { allowNumber: false, allowNullableNumber: false, allowNullableString: true, allowAny: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        // A default that calls assertNever is how a case that nobody knew is caught when the code runs.
        { considerDefaultExhaustiveForUnions: false, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/no-deprecated': [
        'error',
        // Marked so that it stands out; a test speaks to loopback.
        { allow: [{ from: 'package', name: 'allowInsecureRequests', package: 'openid-client' }] },
      ],
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'A thing has one name, given where it is made.' },
      ],

      // A flag that was tested before an `await` can be another one after it, which the compiler does not see.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // A parameter that only the result has is how a parser is told which brand it makes.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // It does not know branded numbers.
      '@typescript-eslint/no-unsafe-unary-minus': 'off',
      // Ports are objects that functions made: their methods have no `this` and can be taken out.
      '@typescript-eslint/unbound-method': 'off',
      // It does not know `Promise.withResolvers<void>()`.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // `void` says that a result is left, whatever it is.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      // `async` is how a function says that it belongs to a port that waits, also where this one need not.
      '@typescript-eslint/require-await': 'off',
      // `() => emitter.off(...)`, and `return resolve()` to end a callback, say what they do.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true },
      ],
      // Numbers are the most common thing in our messages, and print as they are.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['packages/core/src/**'],
    // What a runtime has and the language does not would tie core to that runtime.
    rules: {
      'no-restricted-globals': ['error', 'process', 'Buffer', 'console', 'fetch', 'crypto', 'performance'],
    },
  },
  {
    files: ['**/test/**', 'checks/**'],
    rules: {
      // node:test returns a promise from `test(...)` that it awaits itself.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach', 'default'],
            },
          ],
        },
      ],
      // A test may say `!` where the line before it made sure: when it is wrong, the test fails.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `assert.ok(value)` is about being there.
      '@typescript-eslint/strict-boolean-expressions': 'off',
      // Tests print what must not print, on purpose.
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      'no-console': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        URL: 'readonly',
        fetch: 'readonly',
        AbortSignal: 'readonly',
        performance: 'readonly',
      },
    },
  },
)
