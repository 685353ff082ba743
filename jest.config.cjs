/** TypeScript is transformed by swc (types are checked apart, by `tsc -p tsconfig.test.json`). */
module.exports = {
  // By default jest leaves a core out, which is half of the machine where there are two.
  maxWorkers: '100%',
  testEnvironment: '<rootDir>/test/jest_environment.cjs',
  reporters: ['default', '<rootDir>/test/jest_reporter.cjs'],
  testMatch: ['<rootDir>/test/ts/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' }, transform: { useDefineForClassFields: true } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/dist'],
};
