import { defineConfig } from 'vitest/config'
import { FailureReporter } from './scripts/test-report.ts'

const node = { environment: 'node' as const, restoreMocks: true, unstubEnvs: true }

export default defineConfig({
  test: {
    reporters: ['default', new FailureReporter()],
    projects: [
      {
        test: {
          ...node,
          name: 'unit',
          include: ['{packages,services,scripts,models}/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.model.test.ts'],
          // For what hangs: some wait for other processes, which on a busy machine takes seconds.
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        // Real inference with the demo models: slower, and one file at a time because the models share two cores.
        test: {
          ...node,
          name: 'model',
          include: ['{packages,services}/**/*.model.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...node,
          name: 'e2e',
          include: ['e2e/**/*.e2e.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        // The page in a real browser, over the real stack.
        test: {
          ...node,
          name: 'page',
          include: ['e2e/**/*.browser.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        // The stack's tests, and what is about containers, against the real compose file: `npm run test:compose`.
        test: {
          ...node,
          name: 'compose',
          include: ['e2e/{stack,one-address}.e2e.ts', 'e2e/**/*.compose.ts'],
          env: { HEARTH_E2E: 'compose' },
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 400_000,
        },
      },
    ],
  },
})
