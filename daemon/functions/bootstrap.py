"""Runs a Python function for the Lambda runtime API: imports the handler once, then asks for one invocation after another.

HTTP is spoken by hand over one connection: importing a client would take longer than most functions do.
"""

import json
import os
import socket
import sys
import time


class Context:
    """What a handler gets beside its event."""

    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.function_name = env["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = env["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = env["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = env["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Plain({"cognito_identity_id": None, "cognito_identity_pool_id": None})
        self.tenant_id = None
        given = headers.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(given)) if given else None
        self._deadline = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class Plain:
    def __init__(self, members):
        self.__dict__.update(members)


class ClientContext:
    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = Plain(given["client"]) if isinstance(given.get("client"), dict) else None


class API:
    """The runtime API, on one connection."""

    def __init__(self, address):
        self.host = address
        name, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((name, int(port)))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def call(self, method, path, body=b"", **headers):
        lines = ["%s /2018-06-01/runtime/%s HTTP/1.1" % (method, path), "Host: " + self.host]
        lines += ["%s: %s" % (k.replace("_", "-"), v) for k, v in headers.items()]
        if method == "POST":
            lines += ["Content-Type: application/json", "Content-Length: %d" % len(body)]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body)
        status = self.file.readline()
        if not status:
            sys.exit(0)  # the sandbox is being ended
        got = {}
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            if not line:
                break
            name, _, value = line.partition(":")
            got[name.strip().lower()] = value.strip()
        content = self.file.read(int(got.get("content-length", 0)))
        if got.get("connection", "").lower() == "close":
            self.__init__(self.host)
        return int(status.split()[1]), got, content


def failure(kind, message, trace=None, request=None):
    doc = {"errorMessage": message, "errorType": kind}
    if request:
        doc["requestId"] = request
    doc["stackTrace"] = trace or []
    return json.dumps(doc).encode()


def say(kind, message, trace=None):
    """One event of the log: line breaks inside are carriage returns."""
    text = "[ERROR] " + (kind + ": " if kind else "") + message
    if trace:
        text += "\nTraceback (most recent call last):\n" + "".join(trace)
    sys.stdout.write(text.rstrip("\n").replace("\n", "\r") + "\n")
    sys.stdout.flush()


def described(error):
    import traceback

    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("/var/runtime/", "<frozen importlib"))]
    return type(error).__name__, str(error), traceback.format_list(frames)


def initialize(name):
    """Gives the handler, or (None, kind, message, trace)."""
    module_name, dot, function = name.rpartition(".")
    if not dot or not module_name:
        return None, "Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name, None
    try:
        import importlib

        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as e:
        return None, "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, e), None
    except SyntaxError as e:
        return None, "Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, e), [
            '  File "%s" Line %s\n    %s\n' % (e.filename, e.lineno, (e.text or "").strip())
        ]
    except Exception as e:
        return (None,) + described(e)
    handler = getattr(module, function, None)
    if handler is None:
        return None, "Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module_name), None
    return handler, None, None, None


def log_to_stdout():
    """Has the root logger write as Lambda's does, if the function uses logging at all."""
    logging = sys.modules.get("logging")
    if logging is None or logging.root.handlers:
        return

    class Handler(logging.Handler):
        def emit(self, record):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + ".%03dZ" % record.msecs
            text = "[%s]\t%s\t%s\t%s" % (record.levelname, stamp, request_id, self.format(record))
            sys.stdout.write(text.replace("\n", "\r") + "\n")
            sys.stdout.flush()

    logging.root.addHandler(Handler())


def serialized(value):
    try:
        return json.dumps(value, ensure_ascii=False, default=unknown).encode("utf-8", "surrogatepass")
    except Exception as e:
        raise MarshalError("Unable to marshal response: %s" % e) from None


def unknown(value):
    if type(value).__name__ == "Decimal":
        return int(value) if value == int(value) else float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


class MarshalError(Exception):
    pass


request_id = ""


def main():
    global request_id
    sys.path[0] = "/var/task"
    sys.argv = [""]
    api = API(os.environ["AWS_LAMBDA_RUNTIME_API"])
    handler, kind, message, trace = initialize(os.environ["_HANDLER"])
    if handler is None:
        say(kind, message, trace)
        api.call("POST", "init/error", failure(kind, message, trace), Lambda_Runtime_Function_Error_Type=kind)
        sys.exit(1)
    log_to_stdout()
    while True:
        status, headers, body = api.call("GET", "invocation/next")
        if status != 200:
            sys.exit(1)
        request_id = headers["lambda-runtime-aws-request-id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
        path = "invocation/%s/" % request_id
        try:
            event = json.loads(body) if body else None
            answer = serialized(handler(event, Context(headers)))
        except SystemExit:
            sys.stdout.flush()
            raise
        except MarshalError as e:
            say("Runtime.MarshalError", str(e))
            api.call("POST", path + "error", failure("Runtime.MarshalError", str(e), None, request_id), Lambda_Runtime_Function_Error_Type="Runtime.MarshalError")
            continue
        except BaseException as e:
            kind, message, trace = described(e)
            say(kind, message, trace)
            api.call("POST", path + "error", failure(kind, message, trace, request_id), Lambda_Runtime_Function_Error_Type=kind)
            continue
        finally:
            sys.stdout.flush()
            log_to_stdout()
        api.call("POST", path + "response", answer)


main()
