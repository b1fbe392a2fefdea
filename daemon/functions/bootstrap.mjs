// Runs a JavaScript function for the Lambda runtime API: imports the handler once, then asks for one invocation after
// another. Handlers are async functions or take a callback; modules are CommonJS or ECMAScript ones.

import http from 'node:http'
import fs from 'node:fs'
import path from 'node:path'
import util from 'node:util'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const env = process.env
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':')
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

let requestID = ''

function call (method, name, body, headers = {}) {
  return new Promise((resolve, reject) => {
    if (body !== undefined) headers['Content-Length'] = Buffer.byteLength(body)
    const request = http.request({ host, port, agent, method, path: '/2018-06-01/runtime/' + name, headers }, response => {
      const parts = []
      response.on('data', part => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

// One call is one event of the log: line breaks inside are carriage returns.
function print (level, values) {
  const text = [new Date().toISOString(), requestID || 'undefined', level, util.format(...values)].join('\t')
  fs.writeSync(1, text.replace(/\n/g, '\r') + '\n')
}
for (const [name, level] of [['log', 'INFO'], ['info', 'INFO'], ['debug', 'DEBUG'], ['trace', 'TRACE'], ['warn', 'WARN'], ['error', 'ERROR']]) {
  console[name] = (...values) => print(level, values)
}

function described (error) {
  if (error instanceof Error || (error && error.name && error.message)) {
    return { errorType: error.name || 'Error', errorMessage: error.message || '', trace: String(error.stack || '').split('\n') }
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] }
}

function fault (type, message) {
  const error = new Error(message)
  error.name = type
  return error
}

const marks = { failed: 'Invoke Error', broken: 'Uncaught Exception' }

function complain (mark, error) {
  const said = described(error)
  const { trace, ...rest } = said
  print('ERROR', [mark + ' \t' + JSON.stringify({ ...rest, stack: trace })])
  return said
}

async function load (name) {
  const at = name.lastIndexOf('/') + 1
  const dot = name.indexOf('.', at)
  if (dot < 0 || name.includes('..')) throw fault('Runtime.MalformedHandlerName', 'Bad handler')
  const base = path.resolve('/var/task', name.slice(0, dot))
  const file = [base + '.js', base + '.mjs', base + '.cjs'].find(f => fs.existsSync(f))
  if (!file) throw fault('Runtime.ImportModuleError', `Error: Cannot find module '${name.slice(at, dot)}'`)
  let module
  try {
    module = file.endsWith('.mjs') ? await import(pathToFileURL(file)) : createRequire(file)(file)
  } catch (error) {
    if (error && error.code === 'ERR_REQUIRE_ESM') module = await import(pathToFileURL(file))
    else if (error instanceof SyntaxError && /import statement|Unexpected token 'export'/.test(error.message)) module = await import(pathToFileURL(file))
    else if (error instanceof SyntaxError) throw fault('Runtime.UserCodeSyntaxError', 'SyntaxError: ' + error.message)
    else if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) throw fault('Runtime.ImportModuleError', 'Error: ' + error.message.split('\n')[0])
    else throw error
  }
  const names = name.slice(dot + 1).split('.')
  const pick = root => names.reduce((value, key) => value && value[key], root)
  const handler = pick(module) || (module && pick(module.default))
  if (handler === undefined) throw fault('Runtime.HandlerNotFound', `${name} is undefined or not exported`)
  if (typeof handler !== 'function') throw fault('Runtime.HandlerNotFound', `${name} is not a function`)
  return handler
}

function contextOf (headers, end) {
  const deadline = Number(headers['lambda-runtime-deadline-ms'])
  const given = headers['lambda-runtime-client-context']
  return {
    callbackWaitsForEmptyEventLoop: true,
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: given ? JSON.parse(given) : undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    done: (error, value) => end(error, value),
    succeed: value => end(null, value),
    fail: error => end(error || 'handled')
  }
}

// The value that a handler comes to, by its promise or its callback.
function run (handler, event, headers) {
  return new Promise((resolve, reject) => {
    const end = (error, value) => (error !== undefined && error !== null ? reject(error) : resolve(value))
    const value = handler(event, contextOf(headers, end), end)
    if (value && typeof value.then === 'function') value.then(resolve, reject)
    else if (handler.length < 3 && value !== undefined) resolve(value)
    else if (handler.constructor.name === 'AsyncFunction') resolve(value)
  })
}

async function main () {
  let handler
  try {
    handler = await load(env._HANDLER)
  } catch (error) {
    const said = complain(marks.broken, error)
    await call('POST', 'init/error', JSON.stringify(said), { 'Lambda-Runtime-Function-Error-Type': said.errorType })
    process.exit(1)
  }
  for (const [event, type] of [['uncaughtException', 'Error'], ['unhandledRejection', 'Runtime.UnhandledPromiseRejection']]) {
    process.on(event, async error => {
      const said = complain(marks.broken, error)
      if (type !== 'Error') said.errorType = type
      if (requestID) await call('POST', `invocation/${requestID}/error`, JSON.stringify(said), { 'Lambda-Runtime-Function-Error-Type': said.errorType }).catch(() => {})
      process.exit(129)
    })
  }
  for (;;) {
    const next = await call('GET', 'invocation/next')
    if (next.status !== 200) process.exit(1)
    requestID = next.headers['lambda-runtime-aws-request-id']
    env._X_AMZN_TRACE_ID = next.headers['lambda-runtime-trace-id']
    const at = `invocation/${requestID}/`
    let answer
    try {
      const value = await run(handler, next.body ? JSON.parse(next.body) : null, next.headers)
      answer = JSON.stringify(value === undefined ? null : value)
    } catch (error) {
      const said = complain(marks.failed, error)
      await call('POST', at + 'error', JSON.stringify(said), { 'Lambda-Runtime-Function-Error-Type': said.errorType })
      continue
    }
    await call('POST', at + 'response', answer, { 'Content-Type': 'application/json' })
  }
}

main().catch(() => process.exit(1))
