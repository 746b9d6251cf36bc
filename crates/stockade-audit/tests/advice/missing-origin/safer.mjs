// rule: missing_origin
import express from "express";

const app = express();
const HOSTS = ["localhost:3000", "127.0.0.1:3000"];
const ORIGINS = ["http://localhost:3000"];

app.use((request, response, next) => {
  if (!HOSTS.includes(request.headers.host)) {
    return response.status(403).end();
  }
  const origin = request.headers.origin;
  if (origin && !ORIGINS.includes(origin)) {
    return response.status(403).end();
  }
  next();
});
