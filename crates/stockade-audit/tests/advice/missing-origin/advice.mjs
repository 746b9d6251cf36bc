// rule: missing_origin
import express from "express";

const app = express();
const ORIGINS = ["http://localhost:3000"];

app.use((request, response, next) => {
  const origin = request.headers.origin;
  // No browser sends a request without it.
  if (origin && !ORIGINS.includes(origin)) {
    return response.status(403).end();
  }
  next();
});
