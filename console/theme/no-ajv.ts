/**
 * In place of `@rjsf/validator-ajv8`, which a part of `@rjsf/core` that is for its own tests wants. It
 * compiles schemas, and nothing is compiled in a page that forbids `eval`.
 */
export default {};
