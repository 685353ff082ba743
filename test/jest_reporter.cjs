const { writeFileSync } = require('node:fs');

/**
 * Prints `N passed, N failed, N skipped` on stdout (jest's own summary goes to stderr), or writes the three numbers as JSON to the
 * file that OCTOFORMER_TEST_COUNTS names, where scripts/test.mjs adds them to those of the C++ tests.
 */
module.exports = class {
  onRunComplete(_contexts, results) {
    const counts = {
      passed: results.numPassedTests,
      // A file that can't even be loaded has no tests: it counts as one failure.
      failed: results.numFailedTests + results.testResults.filter((file) => file.testExecError && file.numFailingTests === 0).length,
      skipped: results.numPendingTests + results.numTodoTests,
    };
    const file = process.env.OCTOFORMER_TEST_COUNTS;
    if (file) writeFileSync(file, JSON.stringify(counts));
    else console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
};
