"""The same for a language without the helper: keyturn rotator serve-validation says who asks, the rest is JSON.

VALIDATION=http://127.0.0.1:8414/validate-producer-credentials TLS_CERT=cert.pem TLS_KEY=key.pem python3 rotator.py
"""
import base64, hashlib, http.server, json, os, sqlite3, ssl, urllib.request

db = sqlite3.connect(os.environ.get("USERS", "users.db"), isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash TEXT)")
db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")


def hashed(name, password):
    return hashlib.scrypt(password.encode(), salt=name.encode(), n=1024, r=8, p=1).hex()


def trusted(token, asked, body):
    """Is this request from keyturn, and nobody changed it?"""
    question = json.dumps({"creds": token, "expected_item_name": asked["item_name"]}).encode()
    try:
        with urllib.request.urlopen(os.environ["VALIDATION"], question, timeout=5) as answer:
            said = json.load(answer)
    except OSError:
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
    return said["body_sha256"] == digest and said["jti"] == asked["request_id"]


def work(asked):
    name, key = asked["username"], asked["request_id"].rsplit(".", 1)[0]
    if asked["operation"] == "verify":
        row = db.execute("SELECT hash FROM users WHERE name = ?", (name,)).fetchone()
        return 200, {"valid": row is not None and row[0] == hashed(name, asked["password"])}
    if asked["operation"] != "rotate" or "proposed_password" not in asked:
        return 400, {"applied": False, "code": "unsupported"}
    with db:
        db.execute("BEGIN IMMEDIATE")
        known = db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        if known:
            return 200, json.loads(known[0])
        changed = db.execute("UPDATE users SET hash = ? WHERE name = ?", (hashed(name, asked["proposed_password"]), name))
        if changed.rowcount == 0:
            return 404, {"applied": False, "code": "no-account"}
        db.execute("INSERT INTO answers VALUES (?, ?)", (key, '{"applied": true}'))
    return 200, {"applied": True}


class Rotator(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers["Content-Length"]), 65536))
        asked = json.loads(body)
        ok = trusted(self.headers["KeyturnCreds"], asked, body)
        status, answer = work(asked) if ok else (401, {"applied": False, "code": "unauthorized"})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["TLS_CERT"], os.environ["TLS_KEY"])
server = http.server.HTTPServer((os.environ.get("ADDRESS", "0.0.0.0"), int(os.environ.get("PORT", "8443"))), Rotator)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(f"listening at {server.server_address[1]}", flush=True)
server.serve_forever()
