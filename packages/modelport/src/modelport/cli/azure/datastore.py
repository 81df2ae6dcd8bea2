"""``az ml datastore`` (azureml-v1 reference, 3.4): folders of the workspace; no storage account is contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.azure.command import az_command
from modelport.cli.azure.session import speaking_on_stderr
from modelport.cli.command import group
from modelport.cli.options import Overwrite
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.data import Datastore

app = group("Datastores: folders of the workspace.")

_COLUMNS = ("name", "datastoreType", "isDefault", "folder")

StoreName = Annotated[str, typer.Option("--name", "-n", help="Name of the datastore.")]
AccountName = Annotated[str, typer.Option("--account-name", "-a", help="A label: the account is not contacted.")]
AccountKey = Annotated[str | None, typer.Option("--account-key", "-k", help="Not kept.")]
SasToken = Annotated[str | None, typer.Option("--sas-token", help="Not kept.")]


@az_command(app, "attach-blob")
def attach_blob(
    session: Session,
    name: StoreName,
    account_name: AccountName,
    container_name: Annotated[str, typer.Option("--container-name", "-c", help="A label.")],
    account_key: AccountKey = None,
    sas_token: SasToken = None,
) -> object:
    """Keep the name of a datastore. Its files are those in its folder on this machine: put your copy of them there."""
    with speaking_on_stderr():
        Datastore.register_azure_blob_container(session.workspace, name, container_name, account_name)
    return _shown(Datastore.get(session.workspace, name))


@az_command(app, "attach-file")
def attach_file(
    session: Session,
    name: StoreName,
    account_name: AccountName,
    share_name: Annotated[str, typer.Option("--share-name", "-c", help="A label.")],
    account_key: AccountKey = None,
    sas_token: SasToken = None,
) -> object:
    """Keep the name of a datastore. Its files are those in its folder on this machine: put your copy of them there."""
    with speaking_on_stderr():
        Datastore.register_azure_file_share(session.workspace, name, share_name, account_name)
    return _shown(Datastore.get(session.workspace, name))


@az_command(app, "upload")
def upload(
    session: Session,
    name: StoreName,
    src_path: Annotated[str, typer.Option("--src-path", "-p", help="File or folder to copy.")],
    target_path: Annotated[
        str | None, typer.Option("--target-path", "-u", help="Folder on the datastore; its root without.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a file or the files of a folder to the datastore."""
    store = Datastore.get(session.workspace, name)
    with speaking_on_stderr():
        if Path(src_path).is_file():
            store.upload_files([src_path], target_path=target_path, overwrite=overwrite)
        else:
            store.upload(src_path, target_path, overwrite=overwrite)


@az_command(app, "download")
def download(
    session: Session,
    name: StoreName,
    target_path: Annotated[str, typer.Option("--target-path", "-d", help="Folder to copy into.")],
    prefix: Annotated[
        str | None, typer.Option("--prefix", "-p", help="Only files whose paths begin like this.")
    ] = None,
    overwrite: Overwrite = False,
) -> object:
    """Copy files of the datastore into a folder; prints how many."""
    with speaking_on_stderr():
        count: int = Datastore.get(session.workspace, name).download(target_path, prefix, overwrite=overwrite)
    return count


@az_command(app, "list")
def list_(session: Session) -> object:
    """List the datastores of the workspace."""
    return Result([_row(store) for store in session.workspace.datastores.values()], columns=_COLUMNS)


@az_command(app, "show")
def show(session: Session, name: StoreName) -> object:
    """Show one datastore."""
    return _shown(Datastore.get(session.workspace, name))


@az_command(app, "show-default")
def show_default(session: Session) -> object:
    """Show the datastore that is taken where none is named."""
    return _shown(Datastore.get_default(session.workspace))


@az_command(app, "set-default")
def set_default(session: Session, name: StoreName) -> object:
    """Take this datastore where none is named."""
    session.workspace.set_default_datastore(name)
    return _shown(Datastore.get(session.workspace, name))


@az_command(app, "detach")
def detach(session: Session, name: StoreName) -> None:
    """Forget the datastore; its files stay in its folder."""
    store = Datastore.get(session.workspace, name)
    if store.is_default:
        raise UserErrorException(f"The datastore {name!r} is the default one.", hint="Set another one first.")
    store.unregister()
    session.note(f"Detached the datastore {name!r}; its files stay in {store.folder}")


def _row(store: Any) -> dict[str, Any]:
    return {
        "name": store.name,
        "datastoreType": store.datastore_type,
        "isDefault": store.is_default,
        "folder": store.folder,
    }


def _shown(store: Any) -> Result:
    return Result(_row(store), columns=_COLUMNS)
