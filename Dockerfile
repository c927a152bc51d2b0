# One image a stage:  docker build --target train -t faceline-train .      (all six: docker compose build)
# They share every layer but the last, which holds the stage's source.
FROM python:3.11-slim-bookworm AS lock
COPY constraints.txt .
# The lock's blocks, apart: a new version of anything but torch leaves the torch layer, 5 GB, as it is.
RUN awk -v RS= 'NR == 2 {print > "/torch.txt"} NR == 3 {print > "/rest.txt"}' constraints.txt

FROM python:3.11-slim-bookworm AS base
# HOME and USER: the entrypoint becomes a user without an entry in /etc/passwd. The rest: nothing calls home.
ENV HOME=/tmp USER=faceline PYTHONUNBUFFERED=1 NO_ALBUMENTATIONS_UPDATE=1 YOLO_OFFLINE=true
COPY --from=lock /torch.txt /tmp/
RUN pip install --no-deps --no-cache-dir --root-user-action=ignore -r /tmp/torch.txt
COPY --from=lock /rest.txt /tmp/
RUN pip install --no-deps --no-cache-dir --root-user-action=ignore -r /tmp/rest.txt
COPY docker/entrypoint /usr/local/bin/entrypoint
WORKDIR /app
COPY models.yaml .

FROM base AS sample
COPY core/src /opt/faceline/core/src
COPY sample/src /opt/faceline/sample/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_sample"]

FROM base AS detect
COPY core/src /opt/faceline/core/src
COPY detect/src /opt/faceline/detect/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_detect"]

FROM base AS preprocess
COPY core/src /opt/faceline/core/src
COPY detect/src /opt/faceline/detect/src
COPY preprocess/src /opt/faceline/preprocess/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_preprocess"]

FROM base AS train
COPY core/src /opt/faceline/core/src
COPY train/src /opt/faceline/train/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_train"]

FROM base AS evaluate
COPY core/src /opt/faceline/core/src
COPY detect/src /opt/faceline/detect/src
COPY preprocess/src /opt/faceline/preprocess/src
COPY evaluate/src /opt/faceline/evaluate/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_evaluate"]

FROM base AS export
COPY core/src /opt/faceline/core/src
COPY export/src /opt/faceline/export/src
ENTRYPOINT ["entrypoint", "python", "-m", "faceline_export"]
